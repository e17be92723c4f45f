select
    event_id,
    event_type,
    event_time,
    user_id,
    anonymous_id,
    device_type,
    country,
    product_id,
    order_id,
    quantity,
    value,
    currency,
    is_bot,
    is_deleted,
    _batch
from {{ source('silver', 'kafka_user_events') }}
