{# A model's schema is its own name alone (`crm.mart_pipeline`), not the profile's schema before it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
