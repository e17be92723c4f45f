"""Loads: how far a table has been read, what marks that place, and how often it is read on."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from data_platform.declarations.types import DeclarationError


@dataclass(frozen=True)
class Incremental:
    """Rows whose cursor moved, the key breaking ties. The last `overlap` is read again, since rows show late.

    `reread_every`: columns that change without moving the cursor (a formula) are compared this often.
    `compare_keys_every`: rows that are gone without a trace are found by comparing all keys this often.
    """

    cursor: str
    overlap: timedelta
    reread_every: timedelta | None = None
    compare_keys_every: timedelta | None = None

    def __post_init__(self) -> None:
        if self.overlap <= timedelta(0):
            raise DeclarationError(
                f"Incremental(cursor={self.cursor!r}) needs an overlap above zero: rows that were being written "
                "while the last load read are seen by no later one; ten minutes is usual"
            )


@dataclass(frozen=True)
class Lag:
    """How much may wait in a stream before its sensor asks for a load: so many changes, or any that is so old."""

    changes: int
    age: timedelta

    def __post_init__(self) -> None:
        if self.changes < 1 or self.age <= timedelta(0):
            raise DeclarationError(
                f"Lag({self.changes}, {self.age}) would ask for loads where nothing waits; write a number from 1 on "
                "and an age above zero"
            )


@dataclass(frozen=True)
class Messages:
    """What a topic's messages say beside their values, which tell by themselves whether they are Avro or JSON.

    `key` is the column that a message's key is, if it is one: a message without a value deletes that row.
    """

    key: str = ""


@dataclass(frozen=True)
class Stream:
    """Changes in the source's own order (offsets, sequence numbers, LSN); the position is one place per part.

    Each row carries its place in that order as `_order`, by which the newest version of a key is known.
    `messages` is said of a topic; `lag` of what a sensor watches.
    """

    order: str
    messages: Messages | None = None
    lag: Lag | None = None


@dataclass(frozen=True)
class Window:
    """A day at a time, and the last `restated` days again, since the source still changes them."""

    day: str
    restated: timedelta


@dataclass(frozen=True)
class Entries:
    """A map in a document, each entry of which is a row: its name and its value become these two columns."""

    of: str
    name: str
    value: str


@dataclass(frozen=True)
class Snapshot:
    """Whole objects (files): each once, and again when its content changed.

    `look_back`: files of the last days (by the date in their address) are looked for again, since some come late.
    `entries` spreads a document over rows. `deleted` is the column that marks a row as deleted. `renames` are the
    names that the files give to columns, where they differ: (the file's, the column's).
    """

    prefix: str
    look_back: timedelta = timedelta(days=3)
    entries: Entries | None = None
    deleted: str = ""
    renames: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.prefix.startswith("/") or not self.prefix.endswith("/"):
            raise DeclarationError(
                f"Snapshot(prefix={self.prefix!r}) must be a folder below LANDING_URI, or it takes in its neighbours: "
                "write it without a slash before it and with one after it"
            )


Load = Incremental | Stream | Window | Snapshot


class Every(Enum):
    """How often a table is loaded; its freshness promise is this and two hours."""

    HOURLY = "hourly"
    DAILY = "daily"
    ON_CHANGE = "on change"

    @property
    def interval(self) -> timedelta:
        return timedelta(days=1) if self is Every.DAILY else timedelta(hours=1)

    @property
    def promise(self) -> timedelta:
        return self.interval + timedelta(hours=2)


HOURLY, DAILY, ON_CHANGE = Every.HOURLY, Every.DAILY, Every.ON_CHANGE


def years(number: int) -> timedelta:
    return timedelta(days=365 * number)


def days(number: int) -> timedelta:
    return timedelta(days=number)
