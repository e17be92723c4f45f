{#
What the warehouses spell differently, by the names that the models use. Days and weeks are UTC's; a week begins on
Monday.
#}

{# The day on which a moment lies. #}
{% macro day_of(moment) -%}
    cast({{ moment }} as date)
{%- endmacro %}

{# The midnight with which a day begins. #}
{% macro start_of_day(day) -%}
    {{ adapter.dispatch('start_of_day', 'data_platform')(day) }}
{%- endmacro %}

{% macro default__start_of_day(day) -%}
    cast({{ day }} as timestamp) at time zone 'UTC'
{%- endmacro %}

{% macro snowflake__start_of_day(day) -%}
    cast(cast(cast({{ day }} as date) as varchar) || ' 00:00:00+00:00' as timestamp_tz)
{%- endmacro %}

{% macro start_of_week(day) -%}
    cast(date_trunc('week', {{ day }}) as date)
{%- endmacro %}

{% macro start_of_quarter(day) -%}
    cast(date_trunc('quarter', {{ day }}) as date)
{%- endmacro %}

{% macro minute_of(moment) -%}
    date_trunc('minute', {{ moment }})
{%- endmacro %}

{# How many midnights lie between two days. #}
{% macro days_between(first, last) -%}
    {{ adapter.dispatch('days_between', 'data_platform')(first, last) }}
{%- endmacro %}

{% macro default__days_between(first, last) -%}
    ({{ last }} - {{ first }})
{%- endmacro %}

{% macro snowflake__days_between(first, last) -%}
    datediff('day', {{ first }}, {{ last }})
{%- endmacro %}

{# How many months lie between two days, by the months' numbers alone. #}
{% macro months_between(first, last) -%}
    cast(
        (extract(year from {{ last }}) - extract(year from {{ first }})) * 12
        + extract(month from {{ last }}) - extract(month from {{ first }})
        as integer
    )
{%- endmacro %}

{# The day so many days later, or earlier where the number is below zero. #}
{% macro days_after(day, days) -%}
    {{ adapter.dispatch('days_after', 'data_platform')(day, days) }}
{%- endmacro %}

{% macro default__days_after(day, days) -%}
    cast({{ day }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{% macro snowflake__days_after(day, days) -%}
    cast(dateadd('day', {{ days }}, {{ day }}) as date)
{%- endmacro %}

{# The moment so many minutes later, or earlier where the number is below zero. #}
{% macro minutes_after(moment, minutes) -%}
    {{ adapter.dispatch('minutes_after', 'data_platform')(moment, minutes) }}
{%- endmacro %}

{% macro default__minutes_after(moment, minutes) -%}
    {{ moment }} + {{ minutes }} * interval '1 minute'
{%- endmacro %}

{% macro snowflake__minutes_after(moment, minutes) -%}
    dateadd('minute', {{ minutes }}, {{ moment }})
{%- endmacro %}

{# A moment as a whole number, which every warehouse writes alike in a key. #}
{% macro microseconds_of(moment) -%}
    {{ adapter.dispatch('microseconds_of', 'data_platform')(moment) }}
{%- endmacro %}

{% macro default__microseconds_of(moment) -%}
    (
        cast(extract(epoch from date_trunc('second', {{ moment }})) as bigint) * 1000000
        + cast(extract(microseconds from {{ moment }}) as bigint) % 1000000
    )
{%- endmacro %}

{% macro snowflake__microseconds_of(moment) -%}
    date_part('epoch_microsecond', {{ moment }})
{%- endmacro %}

{# The whole numbers from 0 up to 10 to the power of `digits`, that one left out: a column `number`. #}
{% macro whole_numbers(digits) -%}
    select
        {% for place in range(digits) -%}
        digit_{{ place }}.digit * {{ 10 ** place }}{% if not loop.last %} + {% endif %}
        {%- endfor %} as number
    from
        {% for place in range(digits) -%}
        (
            select 0 as digit
            {%- for digit in range(1, 10) %} union all select {{ digit }} {%- endfor -%}
        ) as digit_{{ place }}
        {%- if not loop.last %} cross join {% endif -%}
        {%- endfor %}
{%- endmacro %}
