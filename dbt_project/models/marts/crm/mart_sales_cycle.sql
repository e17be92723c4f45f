select
    {{ month_of('opportunities.close_date') }} as closed_month,
    -- The segment of the account when the deal was opened.
    {{ or_none('accounts.segment') }} as segment,
    count(*) as won,
    avg(cast(opportunities.days_to_win as double precision)) as average_days,
    median(opportunities.days_to_win) as median_days,
    max(opportunities.days_to_win) as longest_days,
    cast(coalesce(sum(opportunities.amount_usd), 0) as decimal(38, 2)) as won_usd
from {{ ref('fct_opportunities') }} as opportunities
inner join {{ ref('dim_accounts') }} as accounts
    on opportunities.account_key = accounts.account_key
where opportunities.days_to_win is not null and not opportunities.is_deleted
group by 1, 2
