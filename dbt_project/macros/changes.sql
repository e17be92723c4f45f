{# What a build has to look at: the rows that silver touched after those which the model holds. #}
{% macro touched_since() -%}
    _batch > (select coalesce(max(held._batch), -1) from {{ this }} as held)
{%- endmacro %}

{# Whether any of the columns differs between two rows, a null being equal to a null. #}
{% macro differ(columns, left, right) -%}
    ({% for column in columns %}{{ left }}.{{ column }} is distinct from {{ right }}.{{ column }}{% if not loop.last %} or {% endif %}{% endfor %})
{%- endmacro %}
