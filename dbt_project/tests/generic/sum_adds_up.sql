{# What a mart adds up is the sum of the fact's own column: nothing is lost, nothing counted twice. #}
{% test sum_adds_up(model, measure, fact, of, rows) %}
select
    mart.added,
    facts.there
from (select cast(coalesce(sum({{ measure }}), 0) as decimal(38, 2)) as added from {{ model }}) as mart
cross join (select cast(coalesce(sum({{ of }}), 0) as decimal(38, 2)) as there from {{ fact }} where {{ rows }}) as facts
where mart.added <> facts.there
{% endtest %}
