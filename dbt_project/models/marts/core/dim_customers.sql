{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='customer_key',
        full_refresh=false
    )
}}

{%- set attributes = [
    'customer_kind',
    'full_name',
    'email',
    'phone',
    'account_id',
    'company_name',
    'country',
    'city',
    'industry',
    'segment',
    'tier',
    'lead_source',
    'is_lead_only',
    'matched_by',
] %}

{%- set records -%}
(
    select
        *,
        first_seen_at as created_at,
        updated_at as system_modstamp
    from {{ ref('stg_customers') }}
) as records
{%- endset %}

-- Never refreshed in full: silver holds the newest state alone, and the versions before it are nowhere else.
{{ versions(records, 'customer_id', 'customer_key', attributes) }}
