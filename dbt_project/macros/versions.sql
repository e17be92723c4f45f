{#
The history of a record: a row per version, each valid from the moment it came into force up to the next.

Silver holds the newest state alone, so the versions are those that the builds saw, told apart by `attributes`. The
first is valid from the record's creation, so that facts older than our first look at it find it. A deletion ends
the last version, an undeletion begins another.
#}
{% macro versions(records, record_id, version_key, attributes) -%}
with touched as (
    select * from {{ records }}
    {% if is_incremental() -%}
    where {{ touched_since() }}
    {%- endif %}
),

held as (
    {% if is_incremental() -%}
    select this.*
    from {{ this }} as this
    inner join (
        select
            versions.{{ record_id }},
            max(versions.version_number) as version_number
        from {{ this }} as versions
        inner join touched on versions.{{ record_id }} = touched.{{ record_id }}
        group by versions.{{ record_id }}
    ) as newest
        on this.{{ record_id }} = newest.{{ record_id }}
        and this.version_number = newest.version_number
    {%- else -%}
    select
        *,
        cast(null as varchar) as {{ version_key }},
        0 as version_number,
        created_at as valid_from,
        created_at as valid_to,
        false as is_current
    from touched
    where false
    {%- endif %}
),

compared as (
    select
        touched.*,
        held.version_number as held_version,
        coalesce(held.is_current, false) as was_current,
        {{ differ(attributes, 'touched', 'held') }} as differs,
        case when held.is_current then held.valid_from else held.valid_to end as last_moment
    from touched
    left join held on touched.{{ record_id }} = held.{{ record_id }}
),

judged as (
    select
        *,
        was_current and (is_deleted or differs) as ends,
        held_version is null or (not is_deleted and (not was_current or differs)) as begins,
        case
            when held_version is null then coalesce(created_at, system_modstamp, _landed_at)
            else {{ moment_after('last_moment') }}
        end as moment
    from compared
)

select
    held.{{ version_key }},
    held.{{ record_id }},
    held.version_number,
    {% for attribute in attributes -%}
    held.{{ attribute }},
    {% endfor -%}
    held.created_at,
    held.valid_from,
    case when judged.ends then judged.moment else held.valid_to end as valid_to,
    held.is_current and not judged.ends as is_current,
    judged._batch
from held
inner join judged on held.{{ record_id }} = judged.{{ record_id }}

union all

select
    {{ surrogate_key([record_id, 'coalesce(held_version, 0) + 1']) }} as {{ version_key }},
    {{ record_id }},
    coalesce(held_version, 0) + 1 as version_number,
    {% for attribute in attributes -%}
    {{ attribute }},
    {% endfor -%}
    created_at,
    moment as valid_from,
    case when is_deleted then {{ moment_after('moment') }} else {{ forever() }} end as valid_to,
    not is_deleted as is_current,
    _batch
from judged
where begins
{%- if not is_incremental() %}

union all

-- The unknown member; valid at no moment, so that nothing but a fact without its own finds it.
select
    {{ unknown_key() }} as {{ version_key }},
    '(unknown)' as {{ record_id }},
    0 as version_number,
    {% for attribute in attributes -%}
    null as {{ attribute }},
    {% endfor -%}
    null as created_at,
    {{ forever() }} as valid_from,
    {{ forever() }} as valid_to,
    false as is_current,
    -1 as _batch
{%- endif %}
{%- endmacro %}

{# When a change came into force. One that moves no system_modstamp (a formula's) is known by its landing alone. #}
{% macro moment_after(last_moment) -%}
    case
        when system_modstamp > {{ last_moment }} then system_modstamp
        else greatest(_landed_at, {{ last_moment }} + interval '1 microsecond')
    end
{%- endmacro %}

{# The end of a version that has none yet. #}
{% macro forever() -%}
    cast('9999-12-31 00:00:00+00' as timestamp with time zone)
{%- endmacro %}

{# From when on facts take a version. The first one also stands for the time before its record was made: a merge
moves old deals to a younger account. #}
{% macro stands_from() -%}
    case when version_number = 1 then cast('0001-01-01 00:00:00+00' as timestamp with time zone) else valid_from end
{%- endmacro %}

{# Whether a version is the one that stood at a moment. #}
{% macro stood_at(version, moment) -%}
    {{ moment }} >= {{ version }}.stands_from and {{ moment }} < {{ version }}.valid_to
{%- endmacro %}

{# The midnight that ends a day, by which all of the day has happened. #}
{% macro end_of_day(day) -%}
    {{ adapter.dispatch('end_of_day', 'data_platform')(day) }}
{%- endmacro %}

{% macro default__end_of_day(day) -%}
    cast({{ day }} + 1 as timestamp) at time zone 'UTC'
{%- endmacro %}

{# It has no zone to give to a moment but the session's, or one that is written out. #}
{% macro snowflake__end_of_day(day) -%}
    cast(cast(cast(dateadd(day, 1, cast({{ day }} as date)) as date) as varchar) || ' 00:00:00+00:00' as timestamp_tz)
{%- endmacro %}
