{# How the marts group and count. #}

{# A text that may be missing, as one of a mart's groups. #}
{% macro or_none(text) -%}
    coalesce({{ text }}, '(none)')
{%- endmacro %}

{% macro month_of(moment) -%}
    cast(date_trunc('month', {{ moment }}) as date)
{%- endmacro %}

{# Null where there is nothing to take a part of. #}
{% macro share(part, whole) -%}
    cast({{ part }} as double precision) / nullif({{ whole }}, 0)
{%- endmacro %}
