{# What a build has to look at: the rows that silver touched after those which the model holds. #}
{% macro touched_since() -%}
    _batch > (select coalesce(max(held._batch), -1) from {{ this }} as held)
{%- endmacro %}

{# Whether any of the columns differs between two rows, a null being equal to a null. #}
{% macro differ(columns, left, right) -%}
    ({% for column in columns %}{{ is_another(left ~ '.' ~ column, right ~ '.' ~ column) }}{% if not loop.last %} or {% endif %}{% endfor %})
{%- endmacro %}

{% macro is_another(left, right) -%}
    {{ adapter.dispatch('is_another', 'data_platform')(left, right) }}
{%- endmacro %}

{% macro default__is_another(left, right) -%}
    {{ left }} is distinct from {{ right }}
{%- endmacro %}

{% macro redshift__is_another(left, right) -%}
    not coalesce({{ left }} = {{ right }}, {{ left }} is null and {{ right }} is null)
{%- endmacro %}
