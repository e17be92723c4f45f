select
    {{ month_of('orders.order_date') }} as order_month,
    {{ or_none('orders.shipping_country') }} as shipping_country,
    -- Where its customer lived when it was ordered.
    {{ or_none('customers.country') }} as customer_country,
    {{ or_none('orders.sales_channel') }} as sales_channel,
    count(*) as orders,
    count(distinct orders.customer_id) as customers,
    cast(coalesce(sum(orders.revenue_usd), 0) as decimal(38, 2)) as revenue_usd
from {{ ref('fct_orders') }} as orders
left join {{ ref('dim_customers') }} as customers
    on orders.customer_key = customers.customer_key
where not orders.is_deleted and orders.order_date is not null
group by 1, 2, 3, 4
