-- A product's name and category are today's, so that a product that was renamed is one line in a month.
with products as (
    select
        product_id,
        product_name,
        category,
        row_number() over (partition by product_id order by version_number desc) as newest_first
    from {{ ref('dim_products') }}
)

select
    {{ month_of('orders.order_date') }} as order_month,
    {{ or_none('orders.product_id') }} as product_id,
    max(products.product_name) as product_name,
    {{ or_none('max(products.category)') }} as category,
    count(*) as orders,
    count(case when orders.status = 'returned' then 1 end) as returned_orders,
    cast(coalesce(sum(case when not orders.is_undone then orders.quantity end), 0) as bigint) as items,
    cast(coalesce(sum(orders.revenue_usd), 0) as decimal(38, 2)) as revenue_usd,
    {{ share("count(case when orders.status = 'returned' then 1 end)", 'count(*)') }} as return_rate
from {{ ref('fct_orders') }} as orders
left join products
    on orders.product_id = products.product_id
    and products.newest_first = 1
where not orders.is_deleted and orders.order_date is not null
group by 1, 2
