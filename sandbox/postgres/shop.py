"""The shop's tables in a PostgreSQL: made, filled from the company's world, and changed a day at a time."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extras import Json, execute_values

from sandbox.postgres.server import PostgresServer
from sandbox.world.shop import KEYS, Happened, Row, Shop, Table

TABLES = """
create type tier as enum ('free', 'plus', 'business', 'gold');
create table customers (
    customer_id text primary key,
    external_id uuid,
    email text,
    full_name varchar(200),
    phone text,
    tier tier,
    is_active boolean not null,
    born_on date,
    balance numeric,
    interests text[],
    preferences jsonb,
    notes text,
    created_at timestamptz,
    updated_at timestamptz not null
);
create table payments (
    payment_id bigint primary key,
    customer_id text,
    amount numeric(18, 2),
    currency char(3),
    method text,
    is_refund boolean,
    paid_at timestamptz,
    updated_at timestamptz not null
);
"""


class ShopDatabase:
    """A shop and its database, which are changed together."""

    def __init__(self, server: PostgresServer, shop: Shop) -> None:
        self.server = server
        self.shop = shop

    def fill(self) -> None:
        self.server.execute(TABLES)
        connection = self.server.connect()
        with connection, connection.cursor() as cursor:
            for table, rows in self.shop.rows.items():
                _insert(cursor, table, list(rows.values()))
        connection.close()

    def live_a_day(self) -> None:
        """Each transaction of the day in one of its own."""
        connection = self.server.connect()
        for transaction in self.shop.live_a_day():
            with connection, connection.cursor() as cursor:
                for happened in transaction:
                    _apply(cursor, happened)
        connection.close()


def _apply(cursor: Any, happened: Happened) -> None:
    table, key = happened.table, KEYS[happened.table]
    if happened.row is None:
        cursor.execute(f"delete from {table} where {key} = %s", [happened.key])
    elif happened.key is None:
        _insert(cursor, table, [happened.row])
    else:
        # What stays as it was is not written, as an application does it.
        changing = {name: value for name, value in happened.row.items() if name in _CHANGING[table]}
        columns = ", ".join(f"{name} = %s" for name in changing)
        cursor.execute(f"update {table} set {columns} where {key} = %s", [*changing.values(), happened.key])


_CHANGING: dict[Table, frozenset[str]] = {
    "customers": frozenset({"customer_id", "is_active", "updated_at"}),
    "payments": frozenset({"method", "updated_at"}),
}


def _insert(cursor: Any, table: Table, rows: Sequence[Row]) -> None:
    names = ", ".join(rows[0])
    values = [tuple(Json(v) if isinstance(v, dict) else v for v in row.values()) for row in rows]
    template = "(" + ", ".join(_CAST.get(name, "%s") for name in rows[0]) + ")"
    execute_values(cursor, f"insert into {table} ({names}) values %s", values, template, page_size=1_000)


_CAST = {
    "tier": "%s::tier",
    "external_id": "%s::uuid",
    "born_on": "%s::date",
    "balance": "%s::numeric",
    "interests": "%s::text[]",
    "paid_at": "%s::timestamptz",
}
