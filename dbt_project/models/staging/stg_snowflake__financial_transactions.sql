select
    transaction_id,
    journal_id,
    order_id,
    account,
    debit,
    credit,
    currency,
    booked_on,
    updated_at,
    is_deleted,
    _batch
from {{ source('silver', 'snowflake_financial_transactions') }}
