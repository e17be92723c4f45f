select
    event_id,
    reason,
    event_time,
    product_id,
    warehouse_id,
    quantity_change,
    quantity_on_hand,
    quantity_reserved,
    reorder_point,
    unit_cost,
    currency,
    is_deleted,
    _batch
from {{ source('silver', 'kafka_inventory_updates') }}
