select
    order_id,
    order_amount,
    currency,
    booked_debit,
    booked_credit,
    journals,
    payment_id,
    paid_amount,
    paid_currency,
    difference,
    state,
    is_deleted,
    _batch
from {{ source('silver', 'order_reconciliation') }}
