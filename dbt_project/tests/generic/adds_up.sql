{# The counts of a mart add up to the rows of the fact that it counts, each row once. #}
{% test adds_up(model, measure, fact, rows) %}
select
    mart.counted,
    facts.there
from (select coalesce(sum({{ measure }}), 0) as counted from {{ model }}) as mart
cross join (select count(*) as there from {{ fact }} where {{ rows }}) as facts
where mart.counted <> facts.there
{% endtest %}
