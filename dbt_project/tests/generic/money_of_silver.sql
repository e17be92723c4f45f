{# All of silver's money is in the fact, and no other. While silver moves on beside a build there is nothing to compare;
the next build does. Cast, since not every warehouse adds up amounts without rounding. #}
{% test money_of_silver(model, measure, staging, of) %}
with fact as (
    select
        cast(coalesce(sum({{ measure }}), 0) as decimal(38, 2)) as money,
        coalesce(max(_batch), -1) as batch
    from {{ model }}
),

silver as (
    select
        cast(coalesce(sum({{ of }}), 0) as decimal(38, 2)) as money,
        coalesce(max(_batch), -1) as batch
    from {{ staging }}
)

select
    fact.money as in_fact,
    silver.money as in_silver
from fact
cross join silver
where fact.batch = silver.batch and fact.money <> silver.money
{% endtest %}
