"""What is landed from Snowflake's RAW_DATA.PUBLIC; the names there are the same in capitals.

How it is read: connectors/snowflake.
"""

from datetime import date, timedelta

from data_platform.declarations import (
    BOOLEAN,
    DAILY,
    DATE,
    DECIMAL,
    HOURLY,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    Normalise,
    Personal,
    SourceTable,
    at_least,
    days,
    holds,
    not_ahead,
    not_before,
    not_null,
    one_of,
    years,
)

# Loads into the warehouse are seen when they commit, minutes after they stamped their rows. What is deleted there is
# deleted without a trace.
BY_UPDATED_AT = Incremental(cursor="updated_at", overlap=timedelta(minutes=15), compare_keys_every=days(1))

MONEY = DECIMAL(18, 2)
CURRENCY = Column("currency", STRING, normalise=Normalise.UPPER, rule=one_of("EUR", "USD", "GBP"))
UPDATED_AT = Column("updated_at", TIMESTAMP, required=True)

CUSTOMER_ORDERS = SourceTable(
    system="snowflake",
    name="customer_orders",
    reads="RAW_DATA.PUBLIC.CUSTOMER_ORDERS",
    description="What customers ordered, and how far each order has come.",
    key=("order_id",),
    load=BY_UPDATED_AT,
    every=HOURLY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("order_id", STRING, required=True),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, rule=not_null()),
        Column("product_id", STRING),
        Column("quantity", INTEGER, rule=at_least(1)),
        Column("amount", MONEY, sensitive=True, rule=at_least(0.01)),
        CURRENCY,
        Column("status", STRING, rule=one_of("placed", "shipped", "delivered", "returned")),
        Column("order_date", DATE, rule=(not_before(date(2000, 1, 1)), not_ahead(days(1)))),
        Column("shipped_at", TIMESTAMP),
        UPDATED_AT,
    ),
)

PRODUCT_CATALOG = SourceTable(
    system="snowflake",
    name="product_catalog",
    reads="RAW_DATA.PUBLIC.PRODUCT_CATALOG",
    description="What is sold.",
    key=("product_id",),
    load=BY_UPDATED_AT,
    every=DAILY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("product_id", STRING, required=True),
        Column("product_name", STRING),
        Column("category", STRING, rule=one_of("Books", "Garden", "Kitchen", "Toys", "Children's wear")),
        Column("price", MONEY, sensitive=True, rule=at_least(0.01)),
        Column("attributes", JSON),
        Column("is_active", BOOLEAN),
        UPDATED_AT,
    ),
)

FINANCIAL_TRANSACTIONS = SourceTable(
    system="snowflake",
    name="financial_transactions",
    reads="RAW_DATA.PUBLIC.FINANCIAL_TRANSACTIONS",
    description="The lines of the journals in which the money of orders is booked.",
    key=("transaction_id",),
    load=BY_UPDATED_AT,
    every=HOURLY,
    owner="team:finance",
    keep_for=years(10),
    restricted=True,
    columns=(
        Column("transaction_id", STRING, required=True),
        Column("journal_id", STRING, rule=not_null()),
        Column("order_id", STRING),
        Column("account", STRING),
        Column("debit", MONEY, sensitive=True, rule=at_least(0)),
        Column("credit", MONEY, sensitive=True, rule=at_least(0)),
        CURRENCY,
        Column("booked_on", DATE, rule=not_before(date(2000, 1, 1))),
        UPDATED_AT,
    ),
    rules=(
        holds(
            "debit_or_credit",
            "coalesce({debit}, 0) = 0 or coalesce({credit}, 0) = 0",
            "a line is a debit or a credit, not both",
        ),
    ),
)

TABLES = (CUSTOMER_ORDERS, PRODUCT_CATALOG, FINANCIAL_TRANSACTIONS)
