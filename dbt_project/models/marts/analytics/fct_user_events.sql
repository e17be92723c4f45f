{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='event_id') }}

with customers as (
    {{ customers_by_shop_number() }}
),

products as (
    {{ products_by_id() }}
),

sessions as (
    select
        session_key,
        visitor_id,
        started_at,
        ended_at,
        is_deleted,
        _batch
    from {{ ref('fct_user_sessions') }}
),
{%- if is_incremental() %}

changed_sessions as (
    select
        session_key,
        visitor_id,
        started_at,
        ended_at
    from sessions
    where _batch > (select coalesce(max(held._session_batch), -1) from {{ this }} as held)
),
{%- endif %}

events as (
    select
        *,
        coalesce(user_id, anonymous_id) as visitor_id
    from {{ ref('stg_kafka__user_events') }}
    {% if is_incremental() -%}
    where
        {{ touched_since() }}
        -- A late event joins two sessions, a missing one parts them: events that were in one, or are, follow.
        or event_id in (
            select held.event_id
            from {{ this }} as held
            inner join changed_sessions
                on held.visitor_id = changed_sessions.visitor_id
                and (
                    held.session_key = changed_sessions.session_key
                    or held.event_time between changed_sessions.started_at and changed_sessions.ended_at
                )
        )
        or event_id in (
            select held.event_id
            from {{ this }} as held
            left join customers
                on held.user_id = customers.shop_customer_id
                and {{ stood_at('customers', 'held.event_time') }}
            left join products
                on held.product_id = products.product_id
                and {{ stood_at('products', 'held.event_time') }}
            where
                {{ points_elsewhere('held.customer_key', 'customers.customer_key') }}
                or {{ points_elsewhere('held.product_key', 'products.product_key') }}
        )
    {%- endif %}
)

select
    events.event_id,
    sessions.session_key,
    coalesce(customers.customer_key, {{ unknown_key() }}) as customer_key,
    coalesce(products.product_key, {{ unknown_key() }}) as product_key,
    customers.customer_id,
    events.visitor_id,
    events.user_id,
    events.event_type,
    {{ day_of('events.event_time') }} as event_date,
    events.event_time,
    events.product_id,
    events.order_id,
    events.quantity,
    events.value,
    events.currency,
    events.device_type,
    events.country,
    coalesce(events.is_bot, false) as is_bot,
    events.is_deleted,
    sessions._batch as _session_batch,
    events._batch
from events
left join sessions
    -- An event that is gone is nobody's. A condition of its own would hold each event against each session.
    on case when not events.is_deleted then events.visitor_id end = sessions.visitor_id
    and events.event_time >= sessions.started_at
    and events.event_time <= sessions.ended_at
    and not sessions.is_deleted
left join customers
    on events.user_id = customers.shop_customer_id
    and {{ stood_at('customers', 'events.event_time') }}
left join products
    on events.product_id = products.product_id
    and {{ stood_at('products', 'events.event_time') }}
