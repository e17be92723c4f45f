{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='opportunity_id') }}

with accounts as (
    select
        account_key,
        account_id,
        {{ stands_from() }} as stands_from,
        valid_to
    from {{ ref('dim_accounts') }}
),

amounts as (
    select
        opportunity_id,
        amount_usd
    from {{ ref('stg_opportunity_amounts') }}
    where not is_deleted
),

opportunities as (
    select * from {{ ref('stg_salesforce__opportunities') }}
    {% if is_incremental() %}
    where {{ touched_since() }}

    union all

    -- An account that landed after its deals, or changed before them, is another version than theirs; a rate
    -- may land or be put right after the deal.
    select * from {{ ref('stg_salesforce__opportunities') }}
    where
        not {{ touched_since() }}
        and opportunity_id in (
            select held.opportunity_id
            from {{ this }} as held
            left join accounts
                on held.account_id = accounts.account_id
                and {{ stood_at('accounts', 'held.created_at') }}
            left join amounts on held.opportunity_id = amounts.opportunity_id
            where
                held.account_key <> coalesce(accounts.account_key, {{ unknown_key() }})
                or {{ differ(['amount_usd'], 'held', 'amounts') }}
        )
    {% endif %}
)

select
    opportunities.opportunity_id,
    coalesce(accounts.account_key, {{ unknown_key() }}) as account_key,
    opportunities.account_id,
    opportunities.opportunity_name,
    opportunities.stage,
    opportunities.opportunity_type,
    opportunities.lead_source,
    opportunities.forecast_category,
    opportunities.owner_id,
    opportunities.amount,
    opportunities.currency,
    amounts.amount_usd,
    opportunities.probability,
    opportunities.expected_revenue,
    opportunities.close_date,
    coalesce(opportunities.is_closed, false) as is_closed,
    coalesce(opportunities.is_won, false) as is_won,
    -- A deal that was entered after it was closed tells nothing about how long it took.
    case
        when opportunities.is_won and opportunities.close_date >= cast(opportunities.created_at as date)
            then opportunities.close_date - cast(opportunities.created_at as date)
    end as days_to_win,
    opportunities.created_at,
    opportunities.is_deleted,
    opportunities._batch
from opportunities
left join accounts
    on opportunities.account_id = accounts.account_id
    and {{ stood_at('accounts', 'opportunities.created_at') }}
left join amounts on opportunities.opportunity_id = amounts.opportunity_id
