{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['platform', 'ad_id', 'day']
    )
}}

-- An ad's campaign is in dim_campaigns from the same build on, since that is made of the same rows.
select
    platform,
    ad_id,
    day,
    case
        when campaign_id is null or is_deleted then {{ unknown_key() }}
        else {{ surrogate_key(['platform', 'campaign_id']) }}
    end as campaign_key,
    campaign_id,
    ad_name,
    ad_group_id,
    ad_group_name,
    account_id,
    impressions,
    clicks,
    currency,
    spend,
    spend_usd,
    is_deleted,
    _batch
from {{ ref('stg_ad_performance') }}
{% if is_incremental() %}
where {{ touched_since() }}
{% endif %}
