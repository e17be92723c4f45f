-- Made whole: one pass over what ads did by day, of which there are few beside orders and events.
with ads as (
    select
        platform,
        campaign_id,
        campaign_name,
        account_id,
        account_name,
        ad_id,
        day,
        row_number()
            over (partition by platform, campaign_id order by day desc nulls last, ad_id desc)
            as newest_first
    from {{ ref('stg_ad_performance') }}
    where not is_deleted and campaign_id is not null
),

tasks as (
    select
        campaign_id,
        campaign_name,
        task_id,
        created_at,
        task_deadline,
        row_number()
            over (partition by campaign_id order by created_at desc nulls last, task_id desc)
            as newest_first
    from {{ ref('stg_dynamodb__campaign_info') }}
    where not is_deleted
),

campaigns as (
    select
        platform,
        campaign_id,
        -- Names change; the newest one stands.
        max(case when newest_first = 1 then campaign_name end) as campaign_name,
        max(case when newest_first = 1 then account_id end) as account_id,
        max(case when newest_first = 1 then account_name end) as account_name,
        min(day) as first_day,
        max(day) as last_day,
        count(distinct ad_id) as parts
    from ads
    group by platform, campaign_id

    union all

    select
        'app' as platform,
        campaign_id,
        max(case when newest_first = 1 then campaign_name end) as campaign_name,
        cast(null as varchar) as account_id,
        cast(null as varchar) as account_name,
        {{ day_of('min(created_at)') }} as first_day,
        {{ day_of('max(task_deadline)') }} as last_day,
        count(*) as parts
    from tasks
    group by campaign_id
)

select
    {{ surrogate_key(['platform', 'campaign_id']) }} as campaign_key,
    platform,
    campaign_id,
    campaign_name,
    account_id,
    account_name,
    first_day,
    last_day,
    parts
from campaigns

union all

-- The unknown member, for what no campaign is known of.
select
    {{ unknown_key() }} as campaign_key,
    '(unknown)' as platform,
    '(unknown)' as campaign_id,
    cast(null as varchar) as campaign_name,
    cast(null as varchar) as account_id,
    cast(null as varchar) as account_name,
    cast(null as date) as first_day,
    cast(null as date) as last_day,
    0 as parts
