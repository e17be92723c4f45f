"""Tables of the databases, for loads to be disturbed: what lets them come in many batches, and what is true of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from data_platform.declarations import Incremental
from data_platform.sources.mysql import SUBSCRIPTIONS
from data_platform.sources.postgres import CUSTOMERS
from data_platform.sources.snowflake import CUSTOMER_ORDERS
from sandbox.mysql.app import Application
from sandbox.mysql.server import MySQLServer
from sandbox.postgres.server import PostgresServer
from sandbox.postgres.shop import ShopDatabase
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.warehouse import RawData
from sandbox.world.company import Sizes, World
from sandbox.world.shop import Shop, Unheld
from tests.faults.launcher import Constant
from tests.faults.loads import Key, Note
from tests.faults.result import Row

SMALL = Sizes(accounts=20, contacts=150, leads=20, opportunities=20)
# Keys are compared by every load that can, so that each deletion is found at once.
BY_MOMENT = Incremental(
    cursor="updated_at", overlap=timedelta(minutes=15), compare_keys_every=timedelta(seconds=0)
)
SUBSCRIPTIONS_BY_MOMENT = replace(SUBSCRIPTIONS, load=BY_MOMENT)
ORDERS_BY_MOMENT = replace(CUSTOMER_ORDERS, load=BY_MOMENT)


# How a record of the truth shows in bronze, where a table was altered.
Shown = Callable[[Row], Row]


def as_it_is(row: Row) -> Row:
    return row


class ShopCustomers:
    """The shop's customers in PostgreSQL, which are followed by the WAL."""

    name = "PostgreSQL"
    table = CUSTOMERS
    small = (
        Constant("data_platform.connectors.postgres.session:BATCH_BYTES", 40_000),
        Constant("data_platform.connectors.postgres.capture:CHANGES_PER_BATCH", 5),
    )

    def __init__(self, server: PostgresServer, world: World) -> None:
        self.server = server
        self.world = world

    def settings(self) -> Mapping[str, str]:
        return self.server.settings()

    def begin(self) -> None:
        """A slot is of one table and of one lake, so each lake gets both anew."""
        self.server.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'data_platform'"
        )
        self.server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        self.server.execute("drop schema public cascade; create schema public")
        self.shop = Shop(self.world)
        self.shown: Shown = as_it_is
        self.rewritten = 0
        self.database = ShopDatabase(self.server, self.shop)
        self.database.fill()

    def change(self, note: Note) -> None:
        for _ in range(3):
            self.database.live_a_day()
            note()

    def records(self) -> Mapping[Key, Row]:
        return {(key,): self.shown(_as_landed(row)) for key, row in self.shop.rows["customers"].items()}

    def rewrite(self, **values: Any) -> None:
        """Every row gets these values, in one transaction."""
        self.rewritten += 1
        stamped = {"updated_at": self.shop.begun + timedelta(days=100 + self.rewritten)} | values
        assigned = ", ".join(f"{name} = %s" for name in stamped)
        self.server.execute(f"update customers set {assigned}", *stamped.values())
        rows = self.shop.rows["customers"]
        rows.update({key: row | stamped for key, row in rows.items()})

    def undecodable(self) -> Sequence[bytes]:
        return ()


def _as_landed(row: Mapping[str, Any]) -> dict[str, Any]:
    """What no type of the lake holds is rescued."""
    unheld = {name: value for name, value in row.items() if isinstance(value, Unheld)}
    meant = {name: float(value) if value[0].isdigit() else str(value) for name, value in unheld.items()}
    return {**row, **dict.fromkeys(unheld), "_rescued": meant or None}


class AppSubscriptions:
    """The application's subscriptions in MariaDB."""

    name = "MySQL"
    table = SUBSCRIPTIONS_BY_MOMENT
    small = (
        Constant("data_platform.connectors.mysql.database:BATCH_ROWS", 60),
        Constant("data_platform.connectors.mysql.database:FIRST_WAIT", 0.02),
    )

    def __init__(self, server: MySQLServer, world: World) -> None:
        self.server = server
        self.world = world

    def settings(self) -> Mapping[str, str]:
        return self.server.settings()

    def begin(self) -> None:
        self.server.execute("drop table if exists subscriptions")
        self.app = Application(self.server, self.world)
        self.shown: Shown = as_it_is

    def change(self, note: Note) -> None:
        self.app.advance()
        # In one moment, so that ties lie across the edges of batches.
        self.app.update(self.app.truth(), seats=7)

    def records(self) -> Mapping[Key, Row]:
        return {(key,): self.shown(_as_declared(row)) for key, row in self.app.truth().items()}

    def rewrite(self, **values: Any) -> None:
        """Every row gets these values, in one transaction."""
        self.app.update(self.app.truth(), **values)

    def forget_moments(self, first: int, last: int) -> None:
        self.server.execute(
            "alter table subscriptions modify updated_at timestamp(6) null default current_timestamp(6)"
        )
        self.app.update(sorted(self.app.truth())[first:last], updated_at=None)

    def undecodable(self) -> Sequence[bytes]:
        return ()


def _as_declared(row: Mapping[str, Any]) -> dict[str, Any]:
    """What fits no column is rescued."""
    misfits = {
        "ends_on": row["ends_on"] == "0000-00-00",
        "cancelled_at": row["cancelled_at"] == "0000-00-00 00:00:00",
        "seats": isinstance(row["seats"], int) and row["seats"] >= 2**63,
        "is_trial": row["is_trial"] == 2,
    }
    rescued = {name: row[name] for name, is_misfit in misfits.items() if is_misfit}
    meant = {"usage_bytes": Decimal(row["usage_bytes"]), "preferences": json.loads(row["preferences"])}
    return {**row, **meant, **dict.fromkeys(rescued), "_rescued": rescued or None}


class WarehouseOrders:
    """The orders in Snowflake."""

    name = "Snowflake"
    table = ORDERS_BY_MOMENT
    small = (Constant("data_platform.connectors.snowflake.session:BATCH_ROWS", 60),)

    def __init__(self, server: SnowflakeServer, world: World) -> None:
        self.server = server
        self.world = world

    def settings(self) -> Mapping[str, str]:
        return self.server.settings()

    def begin(self) -> None:
        self.raw = RawData(self.server, self.world)
        self.some_are_gone = False
        self.shown: Shown = as_it_is

    def change(self, note: Note) -> None:
        # The world numbers new orders by how many there are, so none is made once some are gone.
        if not self.some_are_gone:
            self.raw.advance()
        orders = self.raw.truth("customer_orders")
        self.raw.delete("customer_orders", sorted(orders)[:2])
        self.some_are_gone = True
        self.raw.update("customer_orders", orders, status="returned")

    def records(self) -> Mapping[Key, Row]:
        return {(key,): self.shown(row) for key, row in self.raw.truth("customer_orders").items()}

    def rewrite(self, **values: Any) -> None:
        """Every row gets these values, in one statement."""
        self.raw.update("customer_orders", self.raw.truth("customer_orders"), **values)

    def forget_moments(self, first: int, last: int) -> None:
        orders = self.raw.truth("customer_orders")
        self.raw.update("customer_orders", sorted(orders)[first:last], updated_at=None)

    def undecodable(self) -> Sequence[bytes]:
        return ()


class Databases:
    """The three servers, each for all that is done to it: `with Databases() as databases: …`."""

    def __enter__(self) -> "Databases":
        world = World(sizes=SMALL)
        with ExitStack() as stack:
            self.postgres = ShopCustomers(stack.enter_context(PostgresServer()), world)
            self.mysql = AppSubscriptions(stack.enter_context(MySQLServer()), world)
            self.snowflake = WarehouseOrders(stack.enter_context(SnowflakeServer()), world)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
