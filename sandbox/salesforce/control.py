"""The handle on a running org: what its users and administrators do, and what goes wrong with the server."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from sandbox.salesforce.fields import NUMBERS, TEXTS, Field
from sandbox.salesforce.misbehaviour import Misbehaviour, Orders
from sandbox.salesforce.org import Org

# What the command line may ask for by name, over HTTP.
COMMANDS = (
    "status",
    "advance",
    "pass_time",
    "fail_next",
    "truncate_next",
    "garble_next",
    "cut_next",
    "slow_next",
    "behave",
    "expire_sessions",
    "expire_locators",
    "fail_next_job",
    "limit_calls",
    "open_next_window",
    "give_pages_of",
    "add_column",
    "drop_column",
    "retype_column",
    "insert",
    "update",
    "delete",
    "undelete",
    "purge",
    "hold_back",
    "release",
)


class Other(Protocol):
    """A system of the company that is served beside Salesforce."""

    @property
    def address(self) -> str: ...

    @property
    def live_a_day(self) -> Callable[[], None]: ...


class Control:
    """Objects are named as the vendor names them (`Lead`); in a path, `*` stands for anything."""

    def __init__(self, org: Org, orders: Orders) -> None:
        # The company's other systems, by name, where they are served beside this one.
        self.others: Mapping[str, Other] = {}
        self._org = org
        self._orders = orders
        self._world = org.world

    def obey(self, command: str, arguments: Mapping[str, Any]) -> Any:
        if command not in COMMANDS:
            raise LookupError(f"there is no command {command!r}; known are {', '.join(COMMANDS)}")
        return getattr(self, command)(**arguments)

    def status(self) -> dict[str, Any]:
        return {
            "process": os.getpid(),
            "day": self._world.day,
            "clock": self._world.now.isoformat(),
            "calls": f"{self._org.used}/{self._org.daily_limit}",
            "misbehaviours to come": self._orders.count(),
            "records": {
                each.name: len(self._world.tables[each.table]) for each in self._org.objects.values()
            },
            "systems": {name: other.address for name, other in self.others.items()},
        }

    # The server goes wrong.

    def fail_next(
        self,
        status: int = 503,
        path: str = "*",
        times: int = 1,
        after: int = 0,
        retry_after: int | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        """Requests are refused with a status, and with the vendor's usual words or these."""
        self._order(Misbehaviour("status", path, times, after, status, code, message, retry_after))

    def truncate_next(self, path: str = "*", times: int = 1, after: int = 0) -> None:
        """The body ends before its Content-Length."""
        self._order(Misbehaviour("truncate", path, times, after))

    def garble_next(self, path: str = "*", times: int = 1, after: int = 0) -> None:
        """The body is as long as it says, and is half of what it should be."""
        self._order(Misbehaviour("garble", path, times, after))

    def cut_next(self, path: str = "*", times: int = 1, after: int = 0) -> None:
        """The connection ends without an answer."""
        self._order(Misbehaviour("cut", path, times, after))

    def slow_next(self, seconds: float, path: str = "*", times: int = 1, after: int = 0) -> None:
        self._order(Misbehaviour("slow", path, times, after, seconds=seconds))

    def _order(self, misbehaviour: Misbehaviour) -> None:
        self._orders.add(misbehaviour)

    def behave(self) -> None:
        """Takes back every misbehaviour that has not happened yet."""
        self._orders.clear()
        with self._org.lock:
            self._org.pages_left = self._org.next_job_fails = None

    def expire_sessions(self, after_pages: int = 0) -> None:
        """Every access token ends, now or once so many pages of queries were read."""
        with self._org.lock:
            if after_pages:
                self._org.pages_left = after_pages
            else:
                self._org.login.expire_all()

    def expire_locators(self) -> None:
        with self._org.lock:
            self._org.cursors.clear()

    def fail_next_job(self, message: str = "InternalServerError : retried too many times") -> None:
        with self._org.lock:
            self._org.next_job_fails = message

    def limit_calls(self, daily: int, used: int | None = None) -> None:
        """Sets the daily quota, and how much of it others have used."""
        with self._org.lock:
            self._org.daily_limit = daily
            self._org.used = self._org.used if used is None else used

    def open_next_window(self) -> None:
        with self._org.lock:
            self._org.used = 0

    def give_pages_of(self, records: int) -> None:
        """Pages no larger than this: a query of many pages without many records."""
        self._org.largest_page = records

    # An administrator changes the objects.

    def add_column(self, sobject: str, name: str, type: str = "string", value: Any = None) -> None:  # noqa: A002
        """A new field; every record holds `value` in it."""
        found = self._org.sobject(sobject)
        with self._world.lock:
            records = self._world.records(found.table)
            records.add_column(name, [value] * len(records))
            found.fields[name] = Field(name, type, length=255)

    def drop_column(self, sobject: str, name: str) -> None:
        del self._org.sobject(sobject).fields[self._field(sobject, name).name]

    def retype_column(self, sobject: str, name: str, type: str) -> None:  # noqa: A002
        """The field's values are shown as another type from now on: anything as text, a number as another."""
        found = self._field(sobject, name)
        if type not in TEXTS and not (type in NUMBERS and found.type in NUMBERS):
            raise ValueError(f"{sobject}.{name} is a {found.type}, whose values are no {type}")
        self._org.sobject(sobject).fields[name] = replace(found, type=type, length=255, precision=0, scale=0)

    # Users change records, and time goes by.

    def advance(self, days: int = 1) -> dict[str, Any]:
        """Days go by in every system, and the quota's next window opens."""
        for _ in range(days):
            self._world.advance()
            for other in self.others.values():
                other.live_a_day()
        self.open_next_window()
        return self.status()

    def pass_time(self, hours: float) -> None:
        """Time goes by in which nothing happens."""
        self._world.pass_time(timedelta(hours=hours))

    def insert(self, sobject: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """New records; dates and amounts may come as text."""
        return self._world.insert(self._table(sobject), *(self._typed(sobject, row) for row in rows))

    def update(self, sobject: str, ids: Iterable[str], **values: Any) -> None:
        """One bulk update: all of the records get the same second."""
        self._world.update(self._table(sobject), ids, **self._typed(sobject, values))

    def delete(self, sobject: str, ids: Iterable[str]) -> None:
        self._world.delete(self._table(sobject), ids)

    def undelete(self, sobject: str, ids: Iterable[str]) -> None:
        self._world.undelete(self._table(sobject), ids)

    def purge(self, sobject: str) -> int:
        """Empties the recycle bin: queryAll sees those records no more, getDeleted still tells of them."""
        return self._world.purge(self._table(sobject))

    def hold_back(self, sobject: str, row: Mapping[str, Any], minutes: float = 5) -> str:
        """A record that turns up late: stamped so many minutes ago, and seen by nobody before `release`."""
        row = self._typed(sobject, row)
        return self._world.hold_back(self._table(sobject), row, timedelta(minutes=minutes))

    def release(self) -> None:
        self._world.release()

    def _table(self, sobject: str) -> str:
        return self._org.sobject(sobject).table

    def _field(self, sobject: str, name: str) -> Field:
        found = self._org.sobject(sobject).field(name)
        if found is None:
            raise LookupError(f"{sobject} has no field {name!r}")
        return found

    def _typed(self, sobject: str, row: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name: self._field(sobject, name) for name in row}
        return {fields[name].name: _as_held(fields[name], value) for name, value in row.items()}


def _as_held(field: Field, value: Any) -> Any:
    """The value in the form that the company keeps it in."""
    if value is None:
        return None
    match field.type:
        case "date" if isinstance(value, str):
            return date.fromisoformat(value)
        case "datetime":
            return int((datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp())
        case "currency":
            return Decimal(str(value))
    return value
