{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='inventory_level_key'
    )
}}

with products as (
    {{ products_by_id() }}
),

updates as (
    select
        *,
        {{ day_of('event_time') }} as level_date
    from {{ ref('stg_kafka__inventory_updates') }}
    where product_id is not null and warehouse_id is not null and event_time is not null
),

days as (
    select
        {{ surrogate_key(['product_id', 'warehouse_id', 'level_date']) }} as inventory_level_key,
        product_id,
        warehouse_id,
        level_date,
        count(case when not is_deleted then 1 end) as updates,
        coalesce(sum(case when not is_deleted then quantity_change end), 0) as quantity_change,
        max(_batch) as _batch
    from updates
    group by product_id, warehouse_id, level_date
),

touched as (
    select days.*
    from days
    {% if is_incremental() -%}
    -- A day is made again when an update came to it (its newest batch tells) or left it (their number tells),
    -- or its product has another version by now.
    left join {{ this }} as held on days.inventory_level_key = held.inventory_level_key
    left join products
        on days.product_id = products.product_id
        and {{ stood_at('products', end_of_day('days.level_date')) }}
    where
        held.inventory_level_key is null
        or held._batch <> days._batch
        or held.updates <> days.updates
        or {{ points_elsewhere('held.product_key', 'products.product_key') }}
    {%- endif %}
),

last_updates as (
    select
        updates.product_id,
        updates.warehouse_id,
        updates.level_date,
        updates.event_time,
        updates.quantity_on_hand,
        updates.quantity_reserved,
        updates.reorder_point,
        updates.unit_cost,
        updates.currency,
        row_number() over (
            partition by updates.product_id, updates.warehouse_id, updates.level_date
            order by updates.event_time desc nulls last, updates.event_id desc
        ) as newest_first
    from updates
    inner join touched
        on updates.product_id = touched.product_id
        and updates.warehouse_id = touched.warehouse_id
        and updates.level_date = touched.level_date
    where not updates.is_deleted
)

select
    touched.inventory_level_key,
    coalesce(products.product_key, {{ unknown_key() }}) as product_key,
    touched.product_id,
    touched.warehouse_id,
    touched.level_date,
    last_updates.quantity_on_hand,
    last_updates.quantity_reserved,
    last_updates.reorder_point,
    last_updates.unit_cost,
    last_updates.currency,
    cast(touched.quantity_change as bigint) as quantity_change,
    touched.updates,
    last_updates.event_time as last_update_at,
    -- Every update of the day was taken back.
    touched.updates = 0 as is_deleted,
    touched._batch
from touched
left join last_updates
    on touched.product_id = last_updates.product_id
    and touched.warehouse_id = last_updates.warehouse_id
    and touched.level_date = last_updates.level_date
    and last_updates.newest_first = 1
left join products
    on touched.product_id = products.product_id
    and {{ stood_at('products', end_of_day('touched.level_date')) }}
