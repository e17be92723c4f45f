{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='lead_id') }}

with accounts as (
    select
        account_key,
        account_id,
        {{ stands_from() }} as stands_from,
        valid_to
    from {{ ref('dim_accounts') }}
),

contacts as (
    select
        contact_key,
        contact_id,
        {{ stands_from() }} as stands_from,
        valid_to
    from {{ ref('dim_contacts') }}
),

leads as (
    select * from {{ ref('stg_salesforce__leads') }}
    {% if is_incremental() %}
    where {{ touched_since() }}

    union all

    -- What a lead became can land after it, or change before its conversion lands.
    select * from {{ ref('stg_salesforce__leads') }}
    where
        not {{ touched_since() }}
        and lead_id in (
            select held.lead_id
            from {{ this }} as held
            left join accounts
                on held.converted_account_id = accounts.account_id
                and {{ stood_at('accounts', end_of_day('held.converted_date')) }}
            left join contacts
                on held.converted_contact_id = contacts.contact_id
                and {{ stood_at('contacts', end_of_day('held.converted_date')) }}
            where
                held.converted_date is not null
                and (
                    held.account_key <> coalesce(accounts.account_key, {{ unknown_key() }})
                    or held.contact_key <> coalesce(contacts.contact_key, {{ unknown_key() }})
                )
        )
    {% endif %}
)

select
    leads.lead_id,
    coalesce(accounts.account_key, {{ unknown_key() }}) as account_key,
    coalesce(contacts.contact_key, {{ unknown_key() }}) as contact_key,
    leads.full_name,
    leads.company,
    leads.email,
    leads.lead_source,
    leads.status,
    leads.rating,
    leads.industry,
    leads.annual_revenue,
    leads.owner_id,
    coalesce(leads.is_converted, false) as is_converted,
    leads.converted_date,
    leads.converted_account_id,
    leads.converted_contact_id,
    leads.converted_opportunity_id,
    leads.created_at,
    leads.is_deleted,
    leads._batch
from leads
left join accounts
    on leads.converted_account_id = accounts.account_id
    and {{ stood_at('accounts', end_of_day('leads.converted_date')) }}
left join contacts
    on leads.converted_contact_id = contacts.contact_id
    and {{ stood_at('contacts', end_of_day('leads.converted_date')) }}
