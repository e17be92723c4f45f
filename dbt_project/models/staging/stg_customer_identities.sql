select
    system,
    source_id,
    customer_id,
    email,
    matched_by,
    is_deleted,
    _batch
from {{ source('silver', 'customer_identities') }}
