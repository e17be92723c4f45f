"""What is landed from the shop's PostgreSQL (RDS), in its own names. How it is read: connectors/postgres."""

from datetime import date, timedelta

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    ERROR,
    HOURLY,
    INTEGER,
    JSON,
    LIST,
    STRING,
    TIMESTAMP,
    WARN,
    Column,
    Normalise,
    Personal,
    SourceTable,
    Stream,
    between,
    is_email,
    not_ahead,
    not_before,
    not_null,
    one_of,
    years,
)

# Deletions and every version between two loads are wanted, so the WAL is followed and not a cursor.
BY_CHANGES = Stream(order="lsn")
MOMENTS = (
    Column("created_at", TIMESTAMP, rule=not_ahead(timedelta(minutes=5))),
    Column("updated_at", TIMESTAMP, required=True),
)

CUSTOMERS = SourceTable(
    system="postgres",
    name="customers",
    reads="public.customers",
    description="People who have an account in the shop.",
    key=("customer_id",),
    load=BY_CHANGES,
    every=HOURLY,
    owner="team:shop",
    keep_for=years(7),
    restricted=True,
    columns=(
        Column("customer_id", STRING, required=True, personal=Personal.CUSTOMER),
        Column(
            "external_id", STRING, personal=Personal.CUSTOMER, description="A uuid that other systems know."
        ),
        Column("email", STRING, personal=Personal.EMAIL, normalise=Normalise.LOWER, rule=is_email(ERROR)),
        Column("full_name", STRING, personal=Personal.NAME, rule=not_null(WARN)),
        Column("phone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("tier", STRING, rule=one_of("free", "plus", "business")),
        Column("is_active", BOOLEAN),
        Column("born_on", DATE, personal=Personal.FREE_TEXT),
        Column("balance", DECIMAL(18, 2), sensitive=True),
        Column("interests", LIST(STRING)),
        Column("preferences", JSON, description="What the shop's front end keeps."),
        Column("notes", STRING, personal=Personal.FREE_TEXT),
        *MOMENTS,
    ),
)

PAYMENTS = SourceTable(
    system="postgres",
    name="payments",
    reads="public.payments",
    description="Payments of the shop's customers, refunds among them.",
    key=("payment_id",),
    load=BY_CHANGES,
    every=HOURLY,
    owner="team:finance",
    keep_for=years(10),
    restricted=True,
    columns=(
        Column("payment_id", INTEGER, required=True),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, rule=not_null(ERROR)),
        Column("amount", DECIMAL(18, 2), sensitive=True, rule=between(0, 1_000_000_000)),
        Column("currency", STRING, normalise=Normalise.UPPER, rule=one_of("EUR", "USD", "GBP", "JPY")),
        Column("method", STRING),
        Column("is_refund", BOOLEAN),
        Column("paid_at", TIMESTAMP, rule=not_before(date(2000, 1, 1))),
        Column("updated_at", TIMESTAMP, required=True),
    ),
)

TABLES = (CUSTOMERS, PAYMENTS)
