with open_deals as (
    select
        *,
        -- An exact decimal, so that the sum does not depend on the order of the rows.
        amount * cast(probability / 100 as decimal(18, 4)) as weighted_amount,
        amount_usd * cast(probability / 100 as decimal(18, 4)) as weighted_amount_usd
    from {{ ref('fct_opportunities') }}
    where not is_closed and not is_deleted
)

select
    {{ or_none('stage') }} as stage,
    {{ or_none('owner_id') }} as owner_id,
    {{ or_none('currency') }} as currency,
    count(*) as opportunities,
    coalesce(sum(amount), 0) as amount,
    cast(coalesce(sum(weighted_amount), 0) as decimal(38, 2)) as weighted_amount,
    cast(coalesce(sum(amount_usd), 0) as decimal(38, 2)) as amount_usd,
    cast(coalesce(sum(weighted_amount_usd), 0) as decimal(38, 2)) as weighted_amount_usd,
    min(close_date) as next_close_date
from open_deals
group by 1, 2, 3
