with orders as (
    select
        customer_id,
        order_date,
        row_number() over (partition by customer_id order by ordered_at, order_id) as place
    from {{ ref('fct_orders') }}
    where not is_deleted and not is_undone and customer_id is not null and order_date is not null
),

customers as (
    select
        customer_id,
        count(*) as orders,
        min(case when place = 1 then order_date end) as first_order_date,
        min(case when place = 2 then order_date end) as second_order_date
    from orders
    group by 1
),

waited as (
    select
        *,
        {{ days_between('first_order_date', 'second_order_date') }} as days_to_second_order
    from customers
)

select
    {{ month_of('first_order_date') }} as first_order_month,
    count(*) as customers,
    count(second_order_date) as repeat_customers,
    {{ share('count(second_order_date)', 'count(*)') }} as repeat_rate,
    {{ share('sum(orders)', 'count(*)') }} as orders_per_customer,
    {{ share('sum(days_to_second_order)', 'count(second_order_date)') }} as days_to_second_order
from waited
group by 1
