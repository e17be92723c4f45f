{#
Who may read a model, by the variable `readers` of dbt_project.yml: run after a model is built, where WAREHOUSE_GRANTS
says so, since a warehouse refuses a grant to a group or role that it does not have.

A reader who is not to see personal values is granted the other columns. Snowflake grants whole tables alone, and so
none with a personal column.
#}
{% macro grant_to_readers() -%}
    {%- if execute and env_var('WAREHOUSE_GRANTS', 'false') == 'true' and target.type != 'duckdb' -%}
        {%- set plain = [] -%}
        {%- for name, column in model['columns'].items() -%}
            {%- set said = column.get('config', {}).get('meta', {}).get('classification', '') -%}
            {%- if not said.startswith('personal') -%}{%- do plain.append(name) -%}{%- endif -%}
        {%- endfor -%}
        {%- for reader, may in var('readers').items() -%}
            {%- if model['schema'] in may['schemas'] or model['name'] in may.get('models', []) -%}
                {%- set sees_all = may['personal'] or plain | length == model['columns'] | length -%}
                {%- do run_query(grant_to_reader(reader, plain, sees_all)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro grant_to_reader(reader, plain, sees_all) -%}
    {{ adapter.dispatch('grant_to_reader', 'data_platform')(reader, plain, sees_all) }}
{%- endmacro %}

{% macro default__grant_to_reader(reader, plain, sees_all) -%}
    select 1
{%- endmacro %}

{% macro redshift__grant_to_reader(reader, plain, sees_all) -%}
    grant select{% if not sees_all %} ({{ plain | join(', ') }}){% endif %} on {{ this }} to group {{ reader }}
{%- endmacro %}

{% macro snowflake__grant_to_reader(reader, plain, sees_all) -%}
    {%- if sees_all -%}
    grant select on {{ this }} to role {{ reader }}
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}

{# Without this, what may be read can't be reached. #}
{% macro grant_schemas() -%}
    {%- if execute and env_var('WAREHOUSE_GRANTS', 'false') == 'true' and target.type != 'duckdb' -%}
        {%- set kind = 'group' if target.type == 'redshift' else 'role' -%}
        {%- set there = schemas | map('lower') | list -%}
        {%- for reader, may in var('readers').items() -%}
            {%- for schema in may['schemas'] + may.get('reaches', []) if schema in there -%}
                {%- do run_query('grant usage on schema ' ~ schema ~ ' to ' ~ kind ~ ' ' ~ reader) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
