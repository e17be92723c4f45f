with closed as (
    select
        {{ month_of('close_date') }} as closed_month,
        {{ or_none('owner_id') }} as owner_id,
        count(*) as closed,
        count(case when is_won then 1 end) as won,
        cast(coalesce(sum(case when is_won then amount_usd end), 0) as decimal(38, 2)) as won_usd,
        cast(coalesce(sum(case when not is_won then amount_usd end), 0) as decimal(38, 2)) as lost_usd
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
    {{ share('won', 'closed') }} as win_rate,
    won_usd,
    lost_usd
from closed
