select
    payment_id,
    customer_id,
    order_id,
    amount,
    currency,
    amount_usd,
    method,
    is_refund,
    paid_at,
    is_deleted,
    _batch
from {{ source('silver', 'payments') }}
