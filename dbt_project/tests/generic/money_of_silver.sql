{# All of silver's money is in the fact, and no other. While silver moves on beside a build there is nothing to compare;
the next build does. #}
{% test money_of_silver(model, measure, staging, of) %}
select
    fact.money,
    silver.money
from (select coalesce(sum({{ measure }}), 0) as money, coalesce(max(_batch), -1) as batch from {{ model }}) as fact
cross join (select coalesce(sum({{ of }}), 0) as money, coalesce(max(_batch), -1) as batch from {{ staging }}) as silver
where fact.batch = silver.batch and fact.money <> silver.money
{% endtest %}
