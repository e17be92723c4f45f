"""The warehouse's raw tables in the stand-in: made, filled, and changed day by day.

Rows are stamped by the database's clock, so their history ends at this moment and not at the company's.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from sandbox.snowflake.server import SnowflakeServer
from sandbox.world.company import World
from sandbox.world.warehouse import KEYS, Row, Table, Warehouse

COLUMNS: dict[Table, str] = {
    "product_catalog": """
        product_id varchar not null, product_name varchar, category varchar, price number(18, 2),
        attributes variant, is_active boolean, updated_at timestamp_ntz""",
    "customer_orders": """
        order_id varchar not null, customer_id varchar, product_id varchar, quantity number(38, 0),
        amount number(18, 2), currency varchar, status varchar, order_date date, shipped_at timestamp_tz,
        updated_at timestamp_ntz""",
    "financial_transactions": """
        transaction_id varchar not null, journal_id varchar, order_id varchar, account varchar,
        debit number(18, 2), credit number(18, 2), currency varchar, booked_on date,
        updated_at timestamp_ntz""",
}
NEW, CHANGED, DELETED = 0.01, 0.01, 0.001


class RawData:
    """RAW_DATA.PUBLIC, and the truth of what was written there: from nothing, or what the server holds already."""

    def __init__(self, server: SnowflakeServer, world: World, held: Warehouse | None = None) -> None:
        self.server = server
        self.warehouse = held or Warehouse(world, self.now())
        if held is None:
            self._fill()

    def _fill(self) -> None:
        self.server.execute("create database if not exists RAW_DATA")
        for table, columns in COLUMNS.items():
            self.server.execute(f"create or replace table RAW_DATA.PUBLIC.{table} ({columns})")
            self._insert(table, self.truth(table).values())

    def now(self) -> datetime:
        """The moment that a change made now is stamped with."""
        ((now,),) = self.server.execute("select sysdate()")
        return now.replace(tzinfo=UTC)  # type: ignore[no-any-return]

    def truth(self, table: Table) -> dict[str, Row]:
        """Every row as it was written, by its key."""
        return self.warehouse.rows[table]

    def advance(self) -> dict[Table, int]:
        """A day goes by; returns how many rows of each table were made or changed."""
        self.warehouse.day += 1
        now = self.now()
        orders, booked = self.truth("customer_orders"), self.truth("financial_transactions")
        random = self.warehouse.world.random(503, self.warehouse.day)
        keys = sorted(orders)
        chosen = [
            keys[place] for place in random.permutation(len(keys))[: max(1, round(len(keys) * CHANGED))]
        ]
        customers = [orders[key]["customer_id"] for key in keys[: max(1, round(len(keys) * NEW))]]
        before = set(booked)
        made = self.warehouse.order(customers, now - timedelta(days=1), now)
        lines = [booked[key] for key in booked.keys() - before]
        for row in (*made, *lines):
            row["updated_at"] = now
        self._insert("customer_orders", made)
        self._insert("financial_transactions", lines)
        self.update("customer_orders", chosen, status="returned")
        return {
            "customer_orders": len(made) + len(chosen),
            "financial_transactions": len(lines),
            "product_catalog": 0,
        }

    def update(self, table: Table, keys: Iterable[str], **values: Any) -> None:
        """Changes the rows in one moment, which the database's clock gives unless `updated_at` is said."""
        keys = list(keys)
        stamped = {"updated_at": self.now()} | values
        assigned = ", ".join(f"{name} = %s" for name in stamped)
        self.server.execute(
            f"update RAW_DATA.PUBLIC.{table} set {assigned} where {KEYS[table]} in ({_marks(keys)})",
            [*map(_plain, stamped.values()), *keys],
        )
        for key in keys:
            self.truth(table)[key] = self.truth(table)[key] | stamped

    def delete(self, table: Table, keys: Iterable[str]) -> None:
        """For good: nothing in the database remembers them."""
        keys = list(keys)
        self.server.execute(
            f"delete from RAW_DATA.PUBLIC.{table} where {KEYS[table]} in ({_marks(keys)})", keys
        )
        for key in keys:
            del self.truth(table)[key]

    def _insert(self, table: Table, rows: Iterable[Row]) -> None:
        self.server.load(f"RAW_DATA.PUBLIC.{table}", pa.Table.from_pylist(list(rows)))


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("%s" for _ in values)


def _plain(value: Any) -> Any:
    """Moments as text in UTC, which every type of moment takes."""
    return f"{value:%Y-%m-%d %H:%M:%S.%f}+00:00" if isinstance(value, datetime) else value
