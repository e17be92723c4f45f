{# The versions of a record follow each other, each holds for a while, and only the last can be current. #}
{% test versions_do_not_overlap(model, record_id) %}
with versions as (
    select
        {{ record_id }},
        version_number,
        valid_from,
        valid_to,
        is_current,
        lead(valid_from) over (partition by {{ record_id }} order by version_number) as next_from
    from {{ model }}
    where version_number > 0
)

select
    {{ record_id }},
    version_number
from versions
where
    valid_from >= valid_to
    or valid_to > next_from
    or (is_current and next_from is not null)
{% endtest %}
