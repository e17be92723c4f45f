"""A table of a database, read by the moment its rows last changed: what any such load consists of.

The rows from the landed position on, up to an end that the database's own clock fixes, ordered by cursor and key;
and, on a slower cycle, the keys that we hold and the database no longer has. Rows without a cursor are in no such
span: they are read whole by the first load and on the slower cycle, and land where they are others.

Where rows lie in the order of their key, the first load reads them in that order, which spares the database a sort.
Its end stays what it was at its beginning, however often it is cut short: what changes meanwhile is beyond that end,
and is read by moment after it. No dialect of SQL is known here: a connector answers the questions of `AskedTable`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from data_platform.connectors.base import Batch, Drift, Landed, Offer, Part, SourceError
from data_platform.connectors.keys import gone_keys
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.declarations import Incremental, SourceTable
from data_platform.lake.schema import arrow_type


@dataclass(frozen=True, order=True)
class Place:
    """A row's place in the order of reading. With no key it stands before all rows of its moment."""

    cursor: datetime
    key: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Span:
    """The rows after `after` (None: from the first on) whose cursor is below `end`; no end: those without a cursor."""

    after: Place | None
    end: datetime | None


WITHOUT_CURSOR = Span(None, None)


@dataclass(frozen=True)
class Whole:
    """All rows but those whose cursor is not below `end`, in the order of their key, beyond the key `after` if any."""

    end: datetime
    after: tuple[Any, ...] = ()


class AskedTable(Protocol):
    """One table, and what an incremental load asks of it."""

    @property
    def drift(self) -> Sequence[Drift]: ...

    @property
    def origin(self) -> str:
        """Where its rows come from, as `_origin` says it."""

    def now(self) -> datetime:
        """The database's clock, cut to what its cursor can tell apart: a moment that is over holds still."""

    @property
    def lies_by_key(self) -> bool:
        """Whether the key is the database's own, by which it finds and orders rows."""

    def count(self, span: Span | Whole) -> int: ...

    def read(self, span: Span | Whole) -> Iterator[Rows]:
        """The rows in the order of cursor and key (or of the key alone), in the declared types, some at a time."""

    def present_keys(self) -> Iterator[Mapping[str, pa.Array]]:
        """The key columns of every row that is there, in the declared types, some at a time."""


def over_by(now: datetime, digits: int) -> datetime:
    """The last moment before now that a cursor with so many digits of a second can tell apart: a cursor of whole
    seconds still takes rows in for as long as its second lasts."""
    cut = 10 ** (6 - min(6, digits))
    return now.replace(microsecond=now.microsecond // cut * cut, tzinfo=UTC)


@dataclass(frozen=True)
class Reached:
    """Rows have been read up to `place`, in a load that ended before `until`; keys were compared at `compared_at`.
    `whole` is the key that a first load stands at: rows beyond it have not been read."""

    place: Place
    until: datetime
    compared_at: datetime
    whole: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, position: Mapping[str, Any]) -> "Reached":
        cursor, until, compared_at = (
            datetime.fromisoformat(position[name]) for name in ("cursor", "until", "compared_at")
        )
        whole = tuple(position["whole"]) if "whole" in position else None
        return cls(Place(cursor, tuple(position["key"])), until, compared_at, whole)

    @property
    def position(self) -> dict[str, Any]:
        return {
            "cursor": self.place.cursor.isoformat(),
            "key": list(self.place.key),
            "until": self.until.isoformat(),
            "compared_at": self.compared_at.isoformat(),
            **({} if self.whole is None else {"whole": list(self.whole)}),
        }

    def start(self, overlap: timedelta) -> Place:
        """Where the next load begins: where this one stopped, or earlier, since rows show late."""
        earlier = Place(self.until - overlap)
        return self.place if self.place.cursor < earlier.cursor else earlier


def incremental_offer(table: SourceTable, asked: AskedTable, landed: Landed) -> Offer:
    """What the table has beyond the landed position."""
    return _Load(table, asked, landed).offer()


class _Load:
    """One load of one table."""

    def __init__(self, table: SourceTable, asked: AskedTable, landed: Landed) -> None:
        self.table = table
        self.load = by_moment(table)
        self.asked = asked
        self.landed = landed
        self.end = asked.now().astimezone(UTC)
        self.before = Reached.of(landed.position) if landed.position else None
        self.start = self.before.start(self.load.overlap) if self.before else None
        self.until = self.end
        self.whole = self._still_whole()
        if self.before and self.whole:
            # What showed late before the whole read's end, the next load looks for: this one has not committed it yet.
            self.start, self.until = Place(self.whole.end), self.whole.end

    def _still_whole(self) -> Whole | None:
        """What a first load by key has before it."""
        if self.before is None:
            return Whole(self.end) if self.asked.lies_by_key else None
        return None if self.before.whole is None else Whole(self.before.until, self.before.whole)

    def offer(self) -> Offer:
        return Offer(
            parts=self._parts(),
            position=self._reached(Place(self.end), after_comparing=True).position,
            drift=self.asked.drift,
            renew=self._compares_keys or (self.before is not None and self.before.whole is not None),
        )

    def _parts(self) -> Iterator[Part]:
        identity = (*self.table.key, self.load.cursor, "_op")
        if self.whole:
            yield from self._by_key(self.whole)
            if self.start is None:
                return
        # First, so that no position is committed without them: the load after one that was cut short looks for none.
        if self.before is None or self._compares_keys:
            yield from self._rows_without_cursor()
        span = Span(self.start, self.end)
        if count := self.asked.count(span):
            yield Part(
                self._changed_rows(span),
                count,
                identity,
                since=self.start.cursor if self.start else None,
                may_repeat=self.start is not None,
                recount=partial(self.asked.count, span),
            )
        if (
            self._compares_keys
            and (gone := gone_keys(self.table, self.landed, self.asked.present_keys())).num_rows
        ):
            batch = Batch(
                self._tombstones(gone), self._reached(Place(self.end), after_comparing=True).position
            )
            yield Part(iter([batch]), gone.num_rows, identity, may_repeat=False)

    def _by_key(self, whole: Whole) -> Iterator[Part]:
        if count := self.asked.count(whole):
            recount = partial(self.asked.count, whole)
            yield Part(self._rows_by_key(whole), count, self._all_values, may_repeat=False, recount=recount)

    def _rows_by_key(self, whole: Whole) -> Iterator[Batch]:
        for rows in self.asked.read(whole):
            landed = bronze_rows(self.table, rows, op="upsert", origin=self.asked.origin)
            key = [rows.columns[name][-1].as_py() for name in self.table.key]
            reached = replace(self._reached(Place(whole.end)), whole=tuple(map(_written, key)))
            # A key that does not fit what is declared is no place to go on from.
            yield Batch(landed, None if None in key else reached.position)

    def _rows_without_cursor(self) -> Iterator[Part]:
        """What is new among them shows in nothing but their values."""
        if count := self.asked.count(WITHOUT_CURSOR):
            rows = self._changed_rows(WITHOUT_CURSOR)
            yield Part(rows, count, self._all_values, may_repeat=self.before is not None)

    @property
    def _all_values(self) -> tuple[str, ...]:
        return (*(column.name for column in self.table.columns), "_op", "_rescued")

    def _changed_rows(self, span: Span) -> Iterator[Batch]:
        for rows in self.asked.read(span):
            landed = bronze_rows(self.table, rows, op="upsert", origin=self.asked.origin)
            place = self._last_place(rows)
            yield Batch(landed, self._reached(place).position if place else None)

    def _last_place(self, rows: Rows) -> Place | None:
        """None where the last row's place can't be told, because its key does not fit what is declared."""
        cursor, *key = (rows.columns[name][-1].as_py() for name in (self.load.cursor, *self.table.key))
        if cursor is None or None in key:
            return None
        return Place(cursor.astimezone(UTC), tuple(map(_written, key)))

    def _reached(self, place: Place, after_comparing: bool = False) -> Reached:
        compared_at = self.before.compared_at if self.before else self.end
        if after_comparing and self._compares_keys:
            compared_at = self.end
        return Reached(place, self.until, compared_at)

    @property
    def _compares_keys(self) -> bool:
        # A load that was cut short left off inside a moment; the one after this compares.
        if self.before is None or self.before.place.key or self.load.compare_keys_every is None:
            return False
        return self.end - self.before.compared_at >= self.load.compare_keys_every

    def _tombstones(self, gone: pa.Table) -> pa.RecordBatch:
        """Rows that know nothing but which row is gone, and when that was seen."""
        moment = pa.scalar(self.end, arrow_type(self.table.by_name[self.load.cursor].type))
        known = {name: gone.column(name).combine_chunks() for name in self.table.key}
        columns = known | {self.load.cursor: pa.repeat(moment, gone.num_rows)}
        rows = Rows(columns, pa.nulls(gone.num_rows, pa.string()))
        return bronze_rows(self.table, rows, op="delete", origin=f"{self.asked.origin}, comparing keys")


def _written(value: Any) -> Any:
    """A part of a key as a position in JSON holds it; the database reads it as text again."""
    if isinstance(value, bool | int | str):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def by_moment(table: SourceTable) -> Incremental:
    """How the table is loaded, where that is by the moment its rows changed."""
    name = f"{table.system}.{table.name}"
    if not isinstance(table.load, Incremental):
        raise SourceError(
            f"{name} is declared as {type(table.load).__name__}, and this source is read by a cursor. "
            "Declare load=Incremental(cursor=…, overlap=…)"
        )
    cursor = table.by_name[table.load.cursor]
    if cursor.type.kind != "timestamp":
        raise SourceError(
            f"{name} has the cursor {cursor.name} of type {cursor.type}, and its end is fixed by the database's clock. "
            "Choose a column of type TIMESTAMP"
        )
    return table.load
