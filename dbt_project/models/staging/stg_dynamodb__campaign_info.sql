select
    campaign_id,
    task_id,
    campaign_name,
    task_name,
    created_at,
    task_deadline,
    is_active,
    is_deleted,
    _batch
from {{ source('silver', 'dynamodb_campaign_info') }}
