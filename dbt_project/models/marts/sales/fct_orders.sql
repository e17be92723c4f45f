{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='order_id') }}

with customers as (
    {{ customers_by_shop_number() }}
),

products as (
    {{ products_by_id() }}
),

orders as (
    select
        *,
        -- What only the warehouse knows of has a day and no hour.
        coalesce(placed_at, {{ start_of_day('order_date') }}) as ordered_at
    from {{ ref('stg_orders') }}
    {% if is_incremental() -%}
    where
        {{ touched_since() }}
        -- A customer or product that landed late, was merged or changed before the order is another version.
        or order_id in (
            select held.order_id
            from {{ this }} as held
            left join customers
                on held.shop_customer_id = customers.shop_customer_id
                and {{ stood_at('customers', 'held.ordered_at') }}
            left join products
                on held.product_id = products.product_id
                and {{ stood_at('products', 'held.ordered_at') }}
            where
                {{ points_elsewhere('held.customer_key', 'customers.customer_key') }}
                or {{ points_elsewhere('held.product_key', 'products.product_key') }}
        )
    {%- endif %}
)

select
    orders.order_id,
    coalesce(customers.customer_key, {{ unknown_key() }}) as customer_key,
    coalesce(products.product_key, {{ unknown_key() }}) as product_key,
    customers.customer_id,
    orders.customer_id as shop_customer_id,
    orders.product_id,
    coalesce(orders.order_date, {{ day_of('orders.placed_at') }}) as order_date,
    orders.ordered_at,
    orders.status,
    orders.quantity,
    orders.amount,
    orders.currency,
    orders.amount_usd,
    -- What is cancelled or comes back brings nothing.
    case when orders.status in ('cancelled', 'returned') then 0 else orders.amount_usd end as revenue_usd,
    coalesce(orders.status in ('cancelled', 'returned'), false) as is_undone,
    orders.paid_at,
    orders.shipped_at,
    orders.delivered_at,
    orders.cancelled_at,
    orders.returned_at,
    orders.payment_method,
    orders.payment_id,
    orders.coupon_code,
    orders.sales_channel,
    orders.shipping_country,
    orders.carrier,
    orders.is_gift,
    orders.in_warehouse,
    orders.in_events,
    orders.is_deleted,
    orders._batch
from orders
left join customers
    on orders.customer_id = customers.shop_customer_id
    and {{ stood_at('customers', 'orders.ordered_at') }}
left join products
    on orders.product_id = products.product_id
    and {{ stood_at('products', 'orders.ordered_at') }}
