{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='payment_id') }}

with customers as (
    {{ customers_by_shop_number() }}
),

payments as (
    select * from {{ ref('stg_payments') }}
    {% if is_incremental() -%}
    where
        {{ touched_since() }}
        or payment_id in (
            select held.payment_id
            from {{ this }} as held
            left join customers
                on held.shop_customer_id = customers.shop_customer_id
                and {{ stood_at('customers', 'held.paid_at') }}
            where {{ points_elsewhere('held.customer_key', 'customers.customer_key') }}
        )
    {%- endif %}
)

select
    payments.payment_id,
    coalesce(customers.customer_key, {{ unknown_key() }}) as customer_key,
    customers.customer_id,
    payments.customer_id as shop_customer_id,
    payments.order_id,
    {{ day_of('payments.paid_at') }} as paid_on,
    payments.paid_at,
    payments.method,
    coalesce(payments.is_refund, false) as is_refund,
    payments.amount,
    payments.currency,
    payments.amount_usd,
    case when payments.is_refund then -payments.amount_usd else payments.amount_usd end as received_usd,
    payments.is_deleted,
    payments._batch
from payments
left join customers
    on payments.customer_id = customers.shop_customer_id
    and {{ stood_at('customers', 'payments.paid_at') }}
