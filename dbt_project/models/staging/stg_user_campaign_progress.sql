select
    user_id,
    campaign_id,
    task_id,
    created_at,
    status,
    progress,
    attempts,
    completed_at,
    campaign_name,
    task_name,
    task_deadline,
    has_campaign,
    is_deleted,
    _batch
from {{ source('silver', 'user_campaign_progress') }}
