select
    progress.campaign_id,
    {{ or_none('max(campaigns.campaign_name)') }} as campaign_name,
    progress.task_id,
    max(progress.task_name) as task_name,
    max(progress.task_deadline) as task_deadline,
    count(*) as users,
    count(case when progress.is_completed then 1 end) as completed,
    count(case when progress.is_late then 1 end) as late,
    {{ share('count(case when progress.is_completed then 1 end)', 'count(*)') }} as completion_rate,
    cast(avg(progress.progress) as decimal(18, 4)) as average_progress
from {{ ref('fct_campaign_progress') }} as progress
left join {{ ref('dim_campaigns') }} as campaigns
    on progress.campaign_key = campaigns.campaign_key
where not progress.is_deleted
group by progress.campaign_id, progress.task_id
