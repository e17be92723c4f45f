-- As long as the rules let a day be: nothing before 2000 lands, and deals and deadlines lie some years ahead.
with numbers as (
    {{ whole_numbers(5) }}
),

days as (
    select {{ days_after("cast('2000-01-01' as date)", 'number') }} as date_day
    from numbers
    where number <= {{ days_between("cast('2000-01-01' as date)", "cast('2049-12-31' as date)") }}
),

weeks as (
    select
        date_day,
        {{ start_of_week('date_day') }} as week_start,
        cast({{ days_between(start_of_week('date_day'), 'date_day') }} + 1 as integer) as day_of_week
    from days
)

select
    date_day,
    week_start,
    {{ month_of('date_day') }} as month_start,
    {{ start_of_quarter('date_day') }} as quarter_start,
    cast(extract(year from date_day) as integer) as calendar_year,
    cast(extract(quarter from date_day) as integer) as calendar_quarter,
    cast(extract(month from date_day) as integer) as calendar_month,
    cast(extract(day from date_day) as integer) as day_of_month,
    day_of_week,
    case day_of_week
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        else 'Sunday'
    end as day_name,
    day_of_week >= 6 as is_weekend
from weeks
