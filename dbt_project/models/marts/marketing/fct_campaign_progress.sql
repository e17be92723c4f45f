{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['user_id', 'campaign_id', 'task_id']
    )
}}

with customers as (
    {{ customers_by_shop_number() }}
),

campaigns as (
    select
        campaign_key,
        campaign_id
    from {{ ref('dim_campaigns') }}
    where platform = 'app'
),

tasks as (
    select * from {{ ref('stg_user_campaign_progress') }}
    {% if is_incremental() -%}
    where {{ touched_since() }}

    union all

    -- The campaign or the customer may land after the user's progress.
    select moved.*
    from {{ ref('stg_user_campaign_progress') }} as moved
    inner join {{ this }} as held
        on moved.user_id = held.user_id
        and moved.campaign_id = held.campaign_id
        and moved.task_id = held.task_id
    left join campaigns on held.campaign_id = campaigns.campaign_id
    left join customers
        on held.user_id = customers.shop_customer_id
        and {{ stood_at('customers', 'held.began_at') }}
    where
        moved._batch <= (select max(above._batch) from {{ this }} as above)
        and (
            {{ points_elsewhere('held.campaign_key', 'campaigns.campaign_key') }}
            or {{ points_elsewhere('held.customer_key', 'customers.customer_key') }}
        )
    {%- endif %}
)

select
    tasks.user_id,
    tasks.campaign_id,
    tasks.task_id,
    coalesce(campaigns.campaign_key, {{ unknown_key() }}) as campaign_key,
    coalesce(customers.customer_key, {{ unknown_key() }}) as customer_key,
    customers.customer_id,
    tasks.task_name,
    tasks.created_at as began_at,
    tasks.status,
    tasks.progress,
    coalesce(tasks.progress >= 100, false) as is_completed,
    tasks.attempts,
    tasks.completed_at,
    tasks.task_deadline,
    -- Nobody is late for a task without a deadline.
    coalesce(tasks.completed_at > tasks.task_deadline, false) as is_late,
    tasks.has_campaign,
    tasks.is_deleted,
    tasks._batch
from tasks
left join campaigns on tasks.campaign_id = campaigns.campaign_id
left join customers
    on tasks.user_id = customers.shop_customer_id
    and {{ stood_at('customers', 'tasks.created_at') }}
