"""What is landed from the application's MySQL, in its own names. How it is read: connectors/mysql."""

from datetime import timedelta

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    ERROR,
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
    between,
    days,
    holds,
    not_ahead,
    not_null,
    one_of,
    years,
)

SUBSCRIPTIONS = SourceTable(
    system="mysql",
    name="subscriptions",
    reads="app.subscriptions",
    description="What customers subscribe to in the application.",
    key=("subscription_id",),
    # Transactions of the application are seen when they commit, minutes after they stamped their rows. What it
    # deletes it deletes without a trace.
    load=Incremental(cursor="updated_at", overlap=timedelta(minutes=15), compare_keys_every=days(1)),
    every=HOURLY,
    owner="team:product",
    keep_for=years(7),
    columns=(
        Column("subscription_id", INTEGER, required=True),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, rule=not_null()),
        Column("plan", STRING, rule=one_of("free", "team", "business", "enterprise")),
        Column("price", DECIMAL(12, 2), sensitive=True, rule=at_least(0)),
        Column("currency", STRING, normalise=Normalise.UPPER, rule=one_of("EUR", "USD", "GBP")),
        Column("status", STRING, rule=one_of("active", "past_due", "cancelled")),
        Column("started_at", TIMESTAMP, rule=not_ahead(timedelta(minutes=5))),
        Column(
            "ends_on", DATE, description="Null where it runs on; the application writes a date of zeros too."
        ),
        Column("cancelled_at", TIMESTAMP),
        Column("is_trial", BOOLEAN),
        Column("auto_renews", BOOLEAN),
        Column("seats", INTEGER, rule=at_least(0)),
        Column("usage_bytes", DECIMAL(20, 0), description="Goes beyond what a signed bigint holds."),
        Column("discount", DOUBLE, rule=between(0, 1, ERROR)),
        Column("preferences", JSON),
        Column("notes", STRING, personal=Personal.FREE_TEXT),
        Column("updated_at", TIMESTAMP, required=True),
    ),
    rules=(
        holds(
            "cancelled_when_it_says_so",
            "{status} <> 'cancelled' or {cancelled_at} is not null",
            "a cancelled subscription says since when",
        ),
    ),
)

TABLES = (SUBSCRIPTIONS,)
