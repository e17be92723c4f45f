with visits as (
    select distinct
        visitor_id,
        {{ start_of_week('session_date') }} as visit_week
    from {{ ref('fct_user_sessions') }}
    where not is_deleted and not is_bot
),

cohorts as (
    select
        visitor_id,
        min(visit_week) as cohort_week
    from visits
    group by 1
),

sizes as (
    select
        cohort_week,
        count(*) as cohort_visitors
    from cohorts
    group by 1
),

active as (
    select
        cohorts.cohort_week,
        cast({{ days_between('cohorts.cohort_week', 'visits.visit_week') }} / 7 as integer) as weeks_since,
        count(*) as visitors
    from visits
    inner join cohorts on visits.visitor_id = cohorts.visitor_id
    group by 1, 2
)

select
    active.cohort_week,
    active.weeks_since,
    sizes.cohort_visitors,
    active.visitors,
    {{ share('active.visitors', 'sizes.cohort_visitors') }} as retention_rate
from active
inner join sizes on active.cohort_week = sizes.cohort_week
