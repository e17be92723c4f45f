{# A model's schema is its own name alone (`crm.mart_pipeline`), not the profile's schema before it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{# Where a session has a zone of its own, days are cut in UTC all the same. #}
{% macro session_in_utc() -%}
    {{ adapter.dispatch('session_in_utc', 'data_platform')() }}
{%- endmacro %}

{% macro default__session_in_utc() -%}
{%- endmacro %}

{% macro snowflake__session_in_utc() -%}
    alter session set timezone = 'UTC'
{%- endmacro %}
