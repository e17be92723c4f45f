{# Keys of dimension versions: the same value always gives the same key, in every warehouse. #}

{% macro surrogate_key(expressions) -%}
    md5({% for expression in expressions %}coalesce(cast({{ expression }} as {{ warehouse_type('varchar') | trim }}), ''){% if not loop.last %} || '|' || {% endif %}{% endfor %})
{%- endmacro %}

{# The member that a fact points to while its own is not known. #}
{% macro unknown_key() -%}
    '00000000000000000000000000000000'
{%- endmacro %}
