"""What happens to databases: servers that restart, slots that are lost, tables that are altered in mid-life."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from data_platform.connectors.base import SourceError
from tests.faults.database_sources import AppSubscriptions, ShopCustomers, Shown, WarehouseOrders
from tests.faults.disturbed import Case, Disturbed, Trouble
from tests.faults.result import Row

# Longer than what waits in the buffers of a connection, all rows together.
LONG_NOTE = 60_000
TABLE = "RAW_DATA.PUBLIC.CUSTOMER_ORDERS"
SLOT = "select wal_status from pg_replication_slots"


def restarted(crashed: bool) -> Case:
    """PostgreSQL says that it broke off; the next load goes on."""

    def case(shop: ShopCustomers, disturbed: Disturbed) -> None:
        for letter in "ab":
            shop.rewrite(notes=letter * LONG_NOTE)
            disturbed.fails(SourceError, "the position stands", lambda: shop.server.restart(crashed=crashed))
            disturbed.load()
            disturbed.change()

    return case


def falls_over(app: AppSubscriptions, disturbed: Disturbed) -> None:
    """MariaDB is killed: the load finds out and reads again from its own position."""
    for letter in "ab":
        app.rewrite(notes=letter * LONG_NOTE)
        disturbed.load(app.server.restart)
        disturbed.change()


def stays_locked(app: AppSubscriptions, disturbed: Disturbed) -> None:
    """Somebody locks the table after the count, and does not let go before the load has ended."""
    for _ in range(2):
        holder = app.server.connect()
        disturbed.fails(
            SourceError,
            "the position stands",
            partial(holder.cursor().execute, "lock tables subscriptions write"),
            after=0,
            database_network_timeout=1,
            http_retries=0,
        )
        holder.close()
        disturbed.load()
        disturbed.change()


def session_ends(orders: WarehouseOrders, disturbed: Disturbed) -> None:
    """Snowflake forgets the session after the count, before the read."""
    for _ in range(2):
        disturbed.load(orders.server.restart, after=0)
        disturbed.change()


def loses_slot(lose: Callable[[ShopCustomers], None], says: str) -> Case:
    """Between two loads, in which rows were changed, moved and deleted; and once more."""

    def case(shop: ShopCustomers, disturbed: Disturbed) -> None:
        disturbed.newest_alone = True
        disturbed.load()
        for _ in range(2):
            disturbed.change()
            lose(shop)
            notes = disturbed.load().notes
            if not any(says in note for note in notes):
                raise AssertionError(f"the load does not say that {says!r}, but {notes}")
        disturbed.change()

    return case


def drop_slot(shop: ShopCustomers) -> None:
    shop.server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def outgrow_slot(shop: ShopCustomers) -> None:
    """More WAL than the server keeps for a slot."""
    connection = shop.server.connect()
    connection.autocommit = True
    cursor = connection.cursor()
    for statement in (
        "alter system set max_slot_wal_keep_size = '1MB'",
        "select pg_reload_conf()",
        "create table filler as select repeat(md5(i::text), 100) as text from generate_series(1, 3000) i",
        "select pg_switch_wal()",
        "update filler set text = text",
        "select pg_switch_wal()",
        "drop table filler",
        "checkpoint",
    ):
        cursor.execute(statement)
    ((status,),) = shop.server.execute(SLOT)
    cursor.execute("alter system reset max_slot_wal_keep_size")
    cursor.execute("select pg_reload_conf()")
    connection.close()
    if status != "lost":
        raise AssertionError(f"the slot was to be lost, and is {status}")


def altered(
    alter: Callable[[Any], None], shown: Shown, kinds: Sequence[tuple[str, str]], **values: Any
) -> Case:
    """A table is altered after a day that no load has seen; then each row changes, and gets these values."""

    def case(source: Any, disturbed: Disturbed) -> None:
        disturbed.load()
        disturbed.change()
        alter(source)
        source.rewrite(**values)
        source.shown = shown
        found = sorted({(drift.column, drift.kind) for drift in disturbed.load().drift})
        if found != sorted(kinds):
            raise AssertionError(f"drift is told as {found}, not as {sorted(kinds)}")

    return case


def lose_moments(source: Any, disturbed: Disturbed) -> None:
    """Rows without the moment they changed: some from the first on, some later; in the end all have one again."""
    source.forget_moments(first=0, last=3)
    disturbed.load()
    disturbed.change()
    disturbed.load()
    source.forget_moments(first=2, last=6)
    disturbed.load()
    source.rewrite()


def rescued(row: Row, **values: Any) -> dict[str, Any]:
    """The row with these values rescued, beside what is rescued of it already."""
    kept = (row.get("_rescued") or {}) | {name: value for name, value in values.items() if value is not None}
    return {**row, "_rescued": kept or None}


def executed(statement: str) -> Callable[[Any], None]:
    return lambda source: source.server.execute(statement)


OF_POSTGRES = (
    Trouble("restarts in mid-read", restarted(crashed=False)),
    Trouble("crashes in mid-read", restarted(crashed=True)),
    Trouble("the slot is dropped between loads", loses_slot(drop_slot, "is gone")),
    Trouble("the slot is given up for too much WAL", loses_slot(outgrow_slot, "too much WAL")),
    Trouble(
        "a column is added",
        altered(
            executed("alter table customers add column region text default 'north'"),
            lambda row: rescued(row, region="north"),
            [("region", "new")],
        ),
    ),
    Trouble(
        "a column is dropped",
        altered(
            executed("alter table customers drop column phone"),
            lambda row: {**row, "phone": None},
            [("phone", "lost")],
        ),
    ),
    Trouble(
        "a column is renamed",
        altered(
            executed("alter table customers rename column phone to telephone"),
            lambda row: {**rescued(row, telephone=row["phone"]), "phone": None},
            [("phone", "lost"), ("telephone", "new")],
        ),
    ),
    Trouble(
        "a column is widened",
        altered(
            executed("alter table customers alter column full_name type text"),
            lambda row: row,
            [],
            full_name="n" * 300,
        ),
    ),
)
OF_MYSQL = (
    Trouble("falls over in mid-read", falls_over),
    Trouble("the table stays locked", stays_locked),
    Trouble("rows lose the moment they changed", lose_moments),
    Trouble(
        "a column is added",
        altered(
            executed("alter table subscriptions add column region varchar(8) default 'north'"),
            lambda row: rescued(row, region="north"),
            [("region", "new")],
        ),
    ),
    Trouble(
        "a column is dropped",
        altered(
            executed("alter table subscriptions drop column discount"),
            lambda row: {**row, "discount": None},
            [("discount", "lost")],
        ),
    ),
    Trouble(
        "a column is renamed",
        altered(
            executed("alter table subscriptions rename column notes to remarks"),
            lambda row: {**rescued(row, remarks=row["notes"]), "notes": None},
            [("notes", "lost"), ("remarks", "new")],
        ),
    ),
    Trouble(
        "a column is widened",
        altered(
            executed("alter table subscriptions modify price decimal(20, 4)"),
            lambda row: {**rescued(row, price="1.2345"), "price": None},
            [("price", "type")],
            price=Decimal("1.2345"),
        ),
    ),
)
OF_SNOWFLAKE = (
    Trouble("ends the session before the read", session_ends),
    Trouble("rows lose the moment they changed", lose_moments),
    Trouble(
        "a column is added",
        altered(
            executed(f"alter table {TABLE} add column region varchar default 'north'"),
            lambda row: rescued(row, REGION="north"),
            [("REGION", "new")],
        ),
    ),
    Trouble(
        "a column is dropped",
        altered(
            executed(f"alter table {TABLE} drop column status"),
            lambda row: {**row, "status": None},
            [("status", "lost")],
        ),
    ),
    Trouble(
        "a column is renamed",
        altered(
            executed(f"alter table {TABLE} rename column status to state"),
            lambda row: {**rescued(row, STATE=row["status"]), "status": None},
            [("STATE", "new"), ("status", "lost")],
        ),
    ),
    Trouble(
        "a column is widened",
        altered(
            executed(f"alter table {TABLE} alter column amount set data type number(20, 4)"),
            lambda row: {**rescued(row, amount=1.2345), "amount": None},
            [("amount", "type")],
            amount=Decimal("1.2345"),
        ),
    ),
)
