{# What facts share: whose they are, and how the mart's groups that changed are told from the others. #}

{#
The versions of customers by the number that the shop knows them by: columns shop_customer_id, customer_key,
customer_id, stands_from and valid_to.
#}
{% macro customers_by_shop_number() -%}
    select
        identities.source_id as shop_customer_id,
        customers.customer_key,
        customers.customer_id,
        customers.stands_from,
        customers.valid_to
    from {{ ref('stg_customer_identities') }} as identities
    inner join (
        select
            customer_key,
            customer_id,
            {{ stands_from() }} as stands_from,
            valid_to
        from {{ ref('dim_customers') }}
    ) as customers
        on identities.customer_id = customers.customer_id
    where identities.system = 'shop' and not identities.is_deleted
{%- endmacro %}

{# The versions of products, from when on facts take them. #}
{% macro products_by_id() -%}
    select
        product_key,
        product_id,
        {{ stands_from() }} as stands_from,
        valid_to
    from {{ ref('dim_products') }}
{%- endmacro %}

{# Whether a fact points to another version than it should: its own landed late, or has another history now. #}
{% macro points_elsewhere(held_key, key) -%}
    {{ held_key }} <> coalesce({{ key }}, {{ unknown_key() }})
{%- endmacro %}
