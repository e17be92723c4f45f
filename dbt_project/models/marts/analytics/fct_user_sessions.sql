{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='session_key') }}

with customers as (
    {{ customers_by_shop_number() }}
),

campaigns as (
    select
        campaign_key,
        platform,
        campaign_id
    from {{ ref('dim_campaigns') }}
    where platform not in ('app', '(unknown)')
),

sessions as (
    select
        *,
        {{ surrogate_key(['visitor_id', microseconds_of('started_at')]) }} as session_key,
        lower(utm_source) as platform
    from {{ ref('stg_user_sessions') }}
    {% if is_incremental() -%}
    where
        {{ touched_since() }}
        -- A customer may land late or be merged, a campaign may run later than its first visitor comes.
        or {{ surrogate_key(['visitor_id', microseconds_of('started_at')]) }} in (
            select held.session_key
            from {{ this }} as held
            left join customers
                on held.user_id = customers.shop_customer_id
                and {{ stood_at('customers', 'held.started_at') }}
            left join campaigns
                on lower(held.utm_source) = campaigns.platform
                and held.utm_campaign = campaigns.campaign_id
            where
                {{ points_elsewhere('held.customer_key', 'customers.customer_key') }}
                or {{ points_elsewhere('held.campaign_key', 'campaigns.campaign_key') }}
        )
    {%- endif %}
)

select
    sessions.session_key,
    sessions.visitor_id,
    sessions.user_id,
    coalesce(customers.customer_key, {{ unknown_key() }}) as customer_key,
    customers.customer_id,
    coalesce(campaigns.campaign_key, {{ unknown_key() }}) as campaign_key,
    {{ day_of('sessions.started_at') }} as session_date,
    sessions.started_at,
    sessions.ended_at,
    sessions.events,
    sessions.page_views,
    sessions.product_views,
    sessions.cart_additions,
    sessions.checkouts,
    sessions.purchases,
    sessions.value_usd,
    sessions.device_type,
    sessions.country,
    sessions.utm_source,
    sessions.utm_medium,
    sessions.utm_campaign,
    coalesce(sessions.is_bot, false) as is_bot,
    sessions.is_deleted,
    sessions._batch
from sessions
left join customers
    on sessions.user_id = customers.shop_customer_id
    and {{ stood_at('customers', 'sessions.started_at') }}
left join campaigns
    on sessions.platform = campaigns.platform
    and sessions.utm_campaign = campaigns.campaign_id
