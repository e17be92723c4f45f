{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='account_key',
        full_refresh=false
    )
}}

{%- set attributes = [
    'account_name',
    'account_number',
    'account_type',
    'parent_account_id',
    'industry',
    'segment',
    'rating',
    'account_source',
    'annual_revenue',
    'number_of_employees',
    'website',
    'billing_city',
    'billing_state',
    'billing_country',
    'owner_id',
] %}

-- Never refreshed in full: silver holds the newest state alone, and the versions before it are nowhere else.
{{ versions(ref('stg_salesforce__accounts'), 'account_id', 'account_key', attributes) }}
