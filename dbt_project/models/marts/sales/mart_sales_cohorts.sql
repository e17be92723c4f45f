with orders as (
    select
        customer_id,
        {{ month_of('order_date') }} as order_month,
        revenue_usd
    from {{ ref('fct_orders') }}
    where not is_deleted and customer_id is not null and order_date is not null
),

cohorts as (
    select
        customer_id,
        min(order_month) as cohort_month
    from orders
    group by 1
),

sizes as (
    select
        cohort_month,
        count(*) as cohort_customers
    from cohorts
    group by 1
),

active as (
    select
        cohorts.cohort_month,
        {{ months_between('cohorts.cohort_month', 'orders.order_month') }} as months_since,
        count(distinct orders.customer_id) as customers,
        count(*) as orders,
        cast(coalesce(sum(orders.revenue_usd), 0) as decimal(38, 2)) as revenue_usd
    from orders
    inner join cohorts on orders.customer_id = cohorts.customer_id
    group by 1, 2
)

select
    active.cohort_month,
    active.months_since,
    sizes.cohort_customers,
    active.customers,
    active.orders,
    active.revenue_usd,
    {{ share('active.customers', 'sizes.cohort_customers') }} as retention_rate
from active
inner join sizes on active.cohort_month = sizes.cohort_month
