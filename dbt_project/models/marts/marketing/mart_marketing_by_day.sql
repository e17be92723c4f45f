with ads as (
    select
        day,
        platform,
        campaign_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend_usd) as spend_usd
    from {{ ref('fct_ad_performance') }}
    where not is_deleted
    group by 1, 2, 3
),

sessions as (
    select
        sessions.session_date as day,
        campaigns.platform,
        sessions.campaign_key,
        count(*) as sessions,
        count(case when sessions.purchases > 0 then 1 end) as sessions_with_purchase
    from {{ ref('fct_user_sessions') }} as sessions
    inner join {{ ref('dim_campaigns') }} as campaigns
        on sessions.campaign_key = campaigns.campaign_key
    where not sessions.is_deleted and not sessions.is_bot and campaigns.campaign_id <> '(unknown)'
    group by 1, 2, 3
),

reported as (
    select
        day,
        platform,
        campaign_key
    from ads
    union
    select
        day,
        platform,
        campaign_key
    from sessions
)

select
    reported.day,
    reported.platform,
    reported.campaign_key,
    campaigns.campaign_name,
    cast(coalesce(ads.impressions, 0) as bigint) as impressions,
    cast(coalesce(ads.clicks, 0) as bigint) as clicks,
    cast(coalesce(ads.spend_usd, 0) as decimal(38, 2)) as spend_usd,
    coalesce(sessions.sessions, 0) as sessions,
    coalesce(sessions.sessions_with_purchase, 0) as sessions_with_purchase,
    {{ share('ads.clicks', 'ads.impressions') }} as click_through_rate,
    {{ share('ads.spend_usd', 'ads.clicks') }} as cost_per_click_usd
from reported
left join ads
    on reported.day = ads.day
    and reported.platform = ads.platform
    and reported.campaign_key = ads.campaign_key
left join sessions
    on reported.day = sessions.day
    and reported.platform = sessions.platform
    and reported.campaign_key = sessions.campaign_key
left join {{ ref('dim_campaigns') }} as campaigns
    on reported.campaign_key = campaigns.campaign_key
