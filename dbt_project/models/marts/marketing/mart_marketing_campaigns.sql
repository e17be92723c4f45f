-- What a campaign brought is known by the last session with one before it: see the description. Made whole,
-- by one pass over each fact.
with ads as (
    select
        campaign_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend_usd) as spend_usd
    from {{ ref('fct_ad_performance') }}
    where not is_deleted
    group by campaign_key
),

visits as (
    select
        customer_id,
        campaign_key,
        session_key,
        started_at
    from {{ ref('fct_user_sessions') }}
    where
        not is_deleted
        and not is_bot
        and customer_id is not null
        and campaign_key <> {{ unknown_key() }}
),

orders as (
    select
        order_id,
        customer_id,
        ordered_at,
        revenue_usd,
        row_number() over (partition by customer_id order by ordered_at, order_id) = 1 as is_first
    from {{ ref('fct_orders') }}
    where not is_deleted and customer_id is not null
),

brought_orders as (
    select
        orders.revenue_usd,
        orders.is_first,
        visits.campaign_key,
        row_number() over (
            partition by orders.order_id
            order by visits.started_at desc nulls last, visits.session_key desc nulls last
        ) as latest_first
    from orders
    inner join visits
        on orders.customer_id = visits.customer_id
        and orders.ordered_at >= visits.started_at
        and visits.started_at > {{ minutes_after('orders.ordered_at', -30 * 24 * 60) }}
),

sold as (
    select
        campaign_key,
        count(*) as orders,
        count(case when is_first then 1 end) as new_customers,
        sum(revenue_usd) as revenue_usd
    from brought_orders
    where latest_first = 1
    group by campaign_key
),

brought_leads as (
    select
        visits.campaign_key,
        row_number() over (
            partition by leads.lead_id
            order by visits.started_at desc nulls last, visits.session_key desc nulls last
        ) as latest_first
    from {{ ref('fct_leads') }} as leads
    inner join {{ ref('stg_customer_identities') }} as identities
        on leads.lead_id = identities.source_id
        and identities.system = 'salesforce_leads'
        and not identities.is_deleted
    inner join visits
        on identities.customer_id = visits.customer_id
        and leads.created_at >= visits.started_at
        and visits.started_at > {{ minutes_after('leads.created_at', -30 * 24 * 60) }}
    where not leads.is_deleted and leads.lead_source = 'Web'
),

won_leads as (
    select
        campaign_key,
        count(*) as leads
    from brought_leads
    where latest_first = 1
    group by campaign_key
),

sessions as (
    select
        campaign_key,
        count(*) as sessions
    from {{ ref('fct_user_sessions') }}
    where not is_deleted and not is_bot
    group by campaign_key
)

select
    campaigns.campaign_key,
    campaigns.platform,
    campaigns.campaign_id,
    campaigns.campaign_name,
    cast(coalesce(ads.impressions, 0) as bigint) as impressions,
    cast(coalesce(ads.clicks, 0) as bigint) as clicks,
    cast(coalesce(ads.spend_usd, 0) as decimal(38, 2)) as spend_usd,
    coalesce(sessions.sessions, 0) as sessions,
    coalesce(won_leads.leads, 0) as leads,
    coalesce(sold.new_customers, 0) as new_customers,
    coalesce(sold.orders, 0) as orders,
    cast(coalesce(sold.revenue_usd, 0) as decimal(38, 2)) as revenue_usd,
    {{ share('ads.clicks', 'ads.impressions') }} as click_through_rate,
    {{ share('ads.spend_usd', 'ads.clicks') }} as cost_per_click_usd,
    {{ share('ads.spend_usd', 'won_leads.leads') }} as cost_per_lead_usd,
    {{ share('ads.spend_usd', 'sold.new_customers') }} as cost_per_customer_usd,
    {{ share('coalesce(sold.revenue_usd, 0)', 'ads.spend_usd') }} as return_on_spend
from {{ ref('dim_campaigns') }} as campaigns
left join ads on campaigns.campaign_key = ads.campaign_key
left join sessions on campaigns.campaign_key = sessions.campaign_key
left join won_leads on campaigns.campaign_key = won_leads.campaign_key
left join sold on campaigns.campaign_key = sold.campaign_key
where campaigns.platform not in ('app', '(unknown)')
