{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='activity_date') }}

with sessions as (
    select
        session_date,
        visitor_id,
        not is_deleted and not is_bot as is_visit,
        _batch
    from {{ ref('fct_user_sessions') }}
),

each_day as (
    select
        session_date,
        count(case when is_visit then 1 end) as sessions,
        max(_batch) as _batch
    from sessions
    group by session_date
),

span as (
    select
        min(session_date) as first_day,
        max(session_date) as last_day
    from sessions
),

days as (
    select
        dates.date_day as activity_date,
        coalesce(each_day.sessions, 0) as sessions,
        each_day._batch
    from {{ ref('dim_dates') }} as dates
    inner join span on dates.date_day between span.first_day and span.last_day
    left join each_day on dates.date_day = each_day.session_date
),

{% if is_incremental() -%}
-- A day is another one when a session came to it or changed (its newest batch tells), or left it (their
-- number tells).
changed as (
    select days.activity_date
    from days
    left join {{ this }} as held on days.activity_date = held.activity_date
    where
        held.activity_date is null
        or held.sessions <> days.sessions
        or coalesce(held._batch, -1) <> coalesce(days._batch, -1)
),

-- A day counts in the months that end with the thirty days from it on.
followed as (
    select distinct dates.date_day as activity_date
    from {{ ref('dim_dates') }} as dates
    inner join changed
        on dates.date_day >= changed.activity_date
        and dates.date_day <= {{ days_after('changed.activity_date', 29) }}
),

{% endif -%}
made as (
    select days.*
    from days
    {% if is_incremental() -%}
    inner join followed on days.activity_date = followed.activity_date
    {%- endif %}
),

visits as (
    select distinct
        session_date,
        visitor_id
    from sessions
    where is_visit
),

counted as (
    select
        made.activity_date,
        count(
            distinct case when visits.session_date = made.activity_date then visits.visitor_id end
        ) as daily_visitors,
        count(
            distinct case
                when visits.session_date > {{ days_after('made.activity_date', -7) }} then visits.visitor_id
            end
        ) as weekly_visitors,
        count(distinct visits.visitor_id) as monthly_visitors
    from made
    left join visits
        on made.activity_date >= visits.session_date
        and visits.session_date > {{ days_after('made.activity_date', -30) }}
    group by made.activity_date
)

select
    made.activity_date,
    made.sessions,
    counted.daily_visitors,
    counted.weekly_visitors,
    counted.monthly_visitors,
    {{ share('counted.daily_visitors', 'counted.monthly_visitors') }} as stickiness,
    made._batch
from made
inner join counted on made.activity_date = counted.activity_date
