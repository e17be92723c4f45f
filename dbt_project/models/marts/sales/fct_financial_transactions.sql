{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='transaction_id') }}

with orders as (
    select
        order_id,
        customer_key,
        product_key
    from {{ ref('fct_orders') }}
),

reconciled as (
    select
        order_id,
        state
    from {{ ref('stg_order_reconciliation') }}
    where not is_deleted
),

transactions as (
    select * from {{ ref('stg_snowflake__financial_transactions') }}
    {% if is_incremental() -%}
    where
        {{ touched_since() }}
        -- The order that was booked may land later, point to another customer now, or be reconciled anew.
        or transaction_id in (
            select held.transaction_id
            from {{ this }} as held
            left join orders on held.order_id = orders.order_id
            left join reconciled on held.order_id = reconciled.order_id
            where
                {{ points_elsewhere('held.customer_key', 'orders.customer_key') }}
                or {{ points_elsewhere('held.product_key', 'orders.product_key') }}
                or coalesce(held.reconciliation_state, '') <> coalesce(reconciled.state, '')
        )
    {%- endif %}
)

select
    transactions.transaction_id,
    transactions.journal_id,
    transactions.order_id,
    coalesce(orders.customer_key, {{ unknown_key() }}) as customer_key,
    coalesce(orders.product_key, {{ unknown_key() }}) as product_key,
    transactions.account,
    transactions.booked_on,
    transactions.debit,
    transactions.credit,
    transactions.currency,
    reconciled.state as reconciliation_state,
    transactions.is_deleted,
    transactions._batch
from transactions
left join orders on transactions.order_id = orders.order_id
left join reconciled on transactions.order_id = reconciled.order_id
