{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='contact_key',
        full_refresh=false
    )
}}

{%- set attributes = [
    'account_id',
    'full_name',
    'title',
    'department',
    'email',
    'phone',
    'mailing_city',
    'mailing_state',
    'mailing_country',
    'lead_source',
    'owner_id',
] %}

-- Never refreshed in full: silver holds the newest state alone, and the versions before it are nowhere else.
{{ versions(ref('stg_salesforce__contacts'), 'contact_id', 'contact_key', attributes) }}
