"""What the benchmarks move: orders of eight columns, one of each common type, in two databases; events in two topics.

They are declared as any table is, and not in the catalogue: no company has them.
"""

from datetime import timedelta

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    HOURLY,
    INTEGER,
    JSON,
    ON_CHANGE,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    Lag,
    Load,
    Messages,
    SourceTable,
    Stream,
    years,
)
from data_platform.sources import catalogue

COLUMNS = (
    Column("order_id", INTEGER, required=True),
    Column("amount", DECIMAL(18, 2)),
    Column("product", STRING),
    Column("is_gift", BOOLEAN),
    Column("quantity", INTEGER),
    Column("ships_on", DATE),
    Column("details", JSON),
    Column("updated_at", TIMESTAMP, required=True),
)


def orders(system: str, reads: str, load: Load) -> SourceTable:
    return SourceTable(
        system=system,
        name="orders",
        reads=reads,
        description="What was ordered.",
        key=("order_id",),
        load=load,
        every=HOURLY,
        owner="team:platform",
        keep_for=years(1),
        columns=COLUMNS,
    )


POSTGRES_ORDERS = orders("postgres", "public.orders", Stream(order="lsn"))
MYSQL_ORDERS = orders("mysql", "app.orders", Incremental(cursor="updated_at", overlap=timedelta(minutes=15)))


EVENT = (
    Column("event_id", STRING, required=True),
    Column("user_id", STRING),
    Column("event_type", STRING),
    Column("session_id", STRING),
    Column("page_url", STRING),
    Column("country", STRING),
    Column("amount", DECIMAL(18, 2)),
    Column("quantity", INTEGER),
    Column("score", DOUBLE),
    Column("is_bot", BOOLEAN),
    Column("event_time", TIMESTAMP),
)


def events(name: str, columns: tuple[Column, ...] = EVENT) -> SourceTable:
    return SourceTable(
        system="kafka",
        name=name,
        reads=name,
        description="What visitors do.",
        key=("event_id",),
        load=Stream("offset", Messages(key="event_id"), Lag(1_000, timedelta(minutes=1))),
        every=ON_CHANGE,
        owner="team:platform",
        keep_for=years(1),
        columns=columns,
    )


JSON_EVENTS, AVRO_EVENTS = events("json_events"), events("avro_events")


JSON_EVENTS, AVRO_EVENTS = events("json_events"), events("avro_events")

TABLES = {
    f"{table.system}.{table.name}": table
    for table in (POSTGRES_ORDERS, MYSQL_ORDERS, JSON_EVENTS, AVRO_EVENTS)
}


def table_named(name: str) -> SourceTable:
    """One of these, or one of the catalogue's."""
    return TABLES.get(name) or catalogue.table_named(name)
