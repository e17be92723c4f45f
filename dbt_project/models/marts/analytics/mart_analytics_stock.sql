select
    product_id,
    product_name,
    {{ or_none('category') }} as category,
    warehouses,
    quantity_on_hand,
    quantity_reserved,
    quantity_available,
    reorder_point,
    coalesce(quantity_available <= reorder_point, false) as is_to_reorder,
    unit_cost,
    unit_cost_currency,
    cast(quantity_on_hand * unit_cost as decimal(38, 2)) as stock_value,
    stock_as_of
from {{ ref('stg_products') }}
where not is_deleted
