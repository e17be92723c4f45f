{{ config(materialized='view') }}

-- A view, so that it is as new as the orders are. Its hour ends with the newest order and not with the clock,
-- so that it says the same of the same orders.
with orders as (
    select
        {{ minute_of('ordered_at') }} as order_minute,
        customer_id,
        revenue_usd
    from {{ ref('fct_orders') }}
    where not is_deleted and in_events
),

newest as (
    select max(order_minute) as order_minute
    from orders
)

select
    orders.order_minute,
    count(*) as orders,
    count(distinct orders.customer_id) as customers,
    cast(coalesce(sum(orders.revenue_usd), 0) as decimal(38, 2)) as revenue_usd
from orders
inner join newest
    on orders.order_minute > {{ minutes_after('newest.order_minute', -60) }}
group by orders.order_minute
