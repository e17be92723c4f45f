"""The orders that the database benchmarks move: the same eight columns, one of each common type, in two databases.

They are declared as any table is, and not in the catalogue: no company has them.
"""

from datetime import timedelta

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    HOURLY,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    Load,
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

TABLES = {f"{table.system}.{table.name}": table for table in (POSTGRES_ORDERS, MYSQL_ORDERS)}


def table_named(name: str) -> SourceTable:
    """One of these, or one of the catalogue's."""
    return TABLES.get(name) or catalogue.table_named(name)
