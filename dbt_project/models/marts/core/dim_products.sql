{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='product_key',
        full_refresh=false
    )
}}

{%- set attributes = [
    'product_name',
    'category',
    'price',
    'is_active',
    'in_catalogue',
] %}

{#- Nobody says when a product was made: its first version is valid from its first change that we know of. #}
{%- set records -%}
(
    select
        *,
        cast(null as timestamp with time zone) as created_at,
        updated_at as system_modstamp
    from {{ ref('stg_products') }}
) as records
{%- endset %}

-- Never refreshed in full: silver holds the newest state alone, and the versions before it are nowhere else.
{{ versions(records, 'product_id', 'product_key', attributes) }}
