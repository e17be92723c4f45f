-- Made whole, like the other marts on orders: one pass over a few columns of fct_orders. Telling which groups
-- a change touched would read the same columns.
with orders as (
    select
        *,
        row_number() over (partition by customer_id order by ordered_at, order_id) as place
    from {{ ref('fct_orders') }}
    where not is_deleted and order_date is not null
)

select
    order_date,
    count(*) as orders,
    count(case when not is_undone then 1 end) as kept_orders,
    count(case when status = 'cancelled' then 1 end) as cancelled_orders,
    count(case when status = 'returned' then 1 end) as returned_orders,
    count(distinct customer_id) as customers,
    count(case when place = 1 and customer_id is not null then 1 end) as new_customers,
    cast(coalesce(sum(case when not is_undone then quantity end), 0) as bigint) as items,
    cast(coalesce(sum(amount_usd), 0) as decimal(38, 2)) as ordered_usd,
    cast(coalesce(sum(revenue_usd), 0) as decimal(38, 2)) as revenue_usd,
    {{ share('sum(revenue_usd)', 'count(case when not is_undone then 1 end)') }} as average_order_usd
from orders
group by order_date
