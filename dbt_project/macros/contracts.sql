{#
The types of a model's contract in each warehouse.

Models say types as DuckDB does, which checks that a model gives exactly these. Elsewhere a count or a sum comes as
another width of number, so there the names are checked, and each column is cast to its type.
#}

{% macro warehouse_type(data_type) -%}
    {{ adapter.dispatch('warehouse_type', 'data_platform')(data_type) }}
{%- endmacro %}

{% macro default__warehouse_type(data_type) -%}
    {{ data_type }}
{%- endmacro %}

{# A varchar of no length holds 256 bytes there. #}
{% macro redshift__warehouse_type(data_type) -%}
    {{ {'varchar': 'varchar(65535)', 'double': 'double precision'}.get(data_type | lower, data_type) }}
{%- endmacro %}

{% macro snowflake__warehouse_type(data_type) -%}
    {{ {'timestamp with time zone': 'timestamp_tz'}.get(data_type | lower, data_type) }}
{%- endmacro %}

{% macro columns_in_warehouse_types() -%}
    {%- set columns = {} -%}
    {%- for name, column in model['columns'].items() -%}
        {%- set told = column.copy() -%}
        {%- do told.update({'data_type': warehouse_type(column['data_type']) | trim}) -%}
        {%- do columns.update({name: told}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro table_columns_in_warehouse_types() -%}
    (
        {% for column in adapter.render_raw_columns_constraints(raw_columns=columns_in_warehouse_types()) -%}
        {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    )
{%- endmacro %}

{% macro same_columns_by_name(sql) -%}
    {%- if execute -%}
        {%- set said = model['columns'] | map('lower') | sort -%}
        {%- set given = [] -%}
        {%- for column in get_column_schema_from_query(sql, none) -%}
            {%- do given.append(column.name | lower) -%}
        {%- endfor -%}
        {%- if given | sort != said -%}
            {%- do exceptions.raise_compiler_error(
                model['name'] ~ ' gives the columns ' ~ (given | sort | join(', ')) ~ ', and its contract names '
                ~ (said | join(', ')) ~ '; correct the one or the other'
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro select_in_warehouse_types(sql) -%}
    select
        {% for column in columns_in_warehouse_types().values() -%}
        cast({{ column['name'] }} as {{ column['data_type'] }}) as {{ column['name'] }}{{ ',' if not loop.last }}
        {% endfor %}
    from (
        {{ sql }}
    ) as model_subq
{%- endmacro %}

{% macro redshift__get_table_columns_and_constraints() %}{{ return(table_columns_in_warehouse_types()) }}{% endmacro %}
{% macro redshift__get_assert_columns_equivalent(sql) %}{{ return(same_columns_by_name(sql)) }}{% endmacro %}
{% macro redshift__get_select_subquery(sql) %}{{ return(select_in_warehouse_types(sql)) }}{% endmacro %}

{% macro snowflake__get_table_columns_and_constraints() %}{{ return(table_columns_in_warehouse_types()) }}{% endmacro %}
{% macro snowflake__get_assert_columns_equivalent(sql) %}{{ return(same_columns_by_name(sql)) }}{% endmacro %}
{% macro snowflake__get_select_subquery(sql) %}{{ return(select_in_warehouse_types(sql)) }}{% endmacro %}
