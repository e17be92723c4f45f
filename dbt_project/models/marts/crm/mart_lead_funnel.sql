with leads as (
    select
        {{ month_of('leads.created_at') }} as created_month,
        {{ or_none('leads.lead_source') }} as lead_source,
        leads.is_converted or leads.status <> 'Open - Not Contacted' as is_worked,
        leads.is_converted,
        opportunities.amount_usd,
        coalesce(opportunities.is_won and not opportunities.is_deleted, false) as is_won
    from {{ ref('fct_leads') }} as leads
    left join {{ ref('fct_opportunities') }} as opportunities
        on leads.converted_opportunity_id = opportunities.opportunity_id
    where not leads.is_deleted
),

counted as (
    select
        created_month,
        lead_source,
        count(*) as leads,
        count(case when is_worked then 1 end) as worked,
        count(case when is_converted then 1 end) as converted,
        count(case when is_converted and is_won then 1 end) as won,
        cast(
            coalesce(sum(case when is_converted and is_won then amount_usd end), 0) as decimal(38, 2)
        ) as won_usd
    from leads
    group by created_month, lead_source
)

select
    created_month,
    lead_source,
    leads,
    worked,
    converted,
    won,
    {{ share('worked', 'leads') }} as worked_rate,
    {{ share('converted', 'leads') }} as conversion_rate,
    {{ share('won', 'converted') }} as converted_win_rate,
    won_usd
from counted
