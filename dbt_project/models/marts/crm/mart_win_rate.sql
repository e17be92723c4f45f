with closed as (
    select
        {{ month_of('close_date') }} as closed_month,
        {{ or_none('owner_id') }} as owner_id,
        count(*) as closed,
        count(case when is_won then 1 end) as won
    from {{ ref('fct_opportunities') }}
    where is_closed and not is_deleted and close_date is not null
    group by 1, 2
)

select
    closed_month,
    owner_id,
    closed,
    won,
    closed - won as lost,
    {{ share('won', 'closed') }} as win_rate
from closed
