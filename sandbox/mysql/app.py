"""The application's own use of its database: its table of subscriptions, filled, and changed day by day.

Rows are stamped by the database's clock, as an application's are, so their history ends at this moment and not at the
company's.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.mysql.server import MySQLServer
from sandbox.world.company import World
from sandbox.world.subscriptions import Row, Subscriptions

TABLE = """
create table subscriptions (
    subscription_id bigint unsigned not null primary key,
    customer_id varchar(18),
    plan varchar(32),
    price decimal(12, 2),
    currency char(3),
    status enum('active', 'past_due', 'cancelled'),
    started_at datetime(6),
    ends_on date,
    cancelled_at datetime,
    is_trial tinyint(1) not null,
    auto_renews tinyint(1),
    seats bigint unsigned,
    usage_bytes bigint unsigned,
    discount double,
    preferences json,
    notes text,
    updated_at timestamp(6) not null default current_timestamp(6) on update current_timestamp(6),
    key (updated_at, subscription_id)
) engine = InnoDB
"""
NEW, CHANGED, DELETED = 0.01, 0.01, 0.001


class Application:
    """The application, and the truth of what it has written: from nothing, or what the server holds already."""

    def __init__(self, server: MySQLServer, world: World, held: Subscriptions | None = None) -> None:
        self.server = server
        self.world = world
        self.subscriptions = held or Subscriptions(world, self.now())
        if held is None:
            server.execute(TABLE)
            self.insert(self.truth().values())

    def now(self) -> datetime:
        """The moment that a change made now is stamped with."""
        ((now,),) = self.server.execute("select now(6)")
        return now.replace(tzinfo=UTC)  # type: ignore[no-any-return]

    def truth(self) -> dict[int, Row]:
        """Every row as the application wrote it, by its id."""
        return self.subscriptions.rows

    def advance(self) -> dict[str, int]:
        """A day goes by; returns how many rows were made, changed and deleted."""
        self.subscriptions.day += 1
        day, count, now = self.subscriptions.day, len(self.truth()), self.now()
        contacts = self.world.truth("contacts")[: max(1, round(count * NEW))]
        made = self.subscriptions.start(contacts, now - timedelta(days=1), now)
        self.insert([row | {"updated_at": now} for row in made])
        chosen = self.subscriptions.pick(day, max(1, round(count * CHANGED)))
        self.update(chosen, price=Decimal(day) + Decimal("9.99"), status="past_due")
        gone = [each for each in self.subscriptions.pick(1_000 + day, count // 2) if each not in chosen][
            : max(1, round(count * DELETED))
        ]
        self.delete(gone)
        return {"made": len(made), "changed": len(chosen), "deleted": len(gone)}

    def insert(self, rows: Iterable[Row]) -> None:
        """Rows with the stamps that they carry."""
        rows = list(rows)
        names = list(rows[0])
        marks = ", ".join(["%s"] * len(names))
        with self.server.transaction() as cursor:
            cursor.executemany(
                f"insert into subscriptions ({', '.join(names)}) values ({marks})",
                [[_plain(row[name]) for name in names] for row in rows],
            )
        self.subscriptions.rows |= {row["subscription_id"]: row for row in rows}

    def update(self, ids: Iterable[int], **values: Any) -> None:
        """Changes the rows in one moment, which the database's clock gives unless `updated_at` is said."""
        ids = list(ids)
        stamped = {"updated_at": self.now()} | values
        assigned = ", ".join(f"{name} = %s" for name in stamped)
        with self.server.transaction() as cursor:
            cursor.executemany(
                f"update subscriptions set {assigned} where subscription_id = %s",
                [[*map(_plain, stamped.values()), each] for each in ids],
            )
        for each in ids:
            self.subscriptions.rows[each] = self.subscriptions.rows[each] | stamped

    def delete(self, ids: Iterable[int]) -> None:
        """For good: nothing in the database remembers them."""
        ids = list(ids)
        with self.server.transaction() as cursor:
            cursor.executemany(
                "delete from subscriptions where subscription_id = %s", [[each] for each in ids]
            )
        for each in ids:
            del self.subscriptions.rows[each]


def _plain(value: Any) -> Any:
    """Moments as the session's zone, UTC, writes them."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
