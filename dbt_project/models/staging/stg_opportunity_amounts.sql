select
    opportunity_id,
    amount_usd,
    is_deleted,
    _batch
from {{ source('silver', 'opportunity_amounts') }}
