"""A table followed by its changes: once whole, as it was when its slot was made, and from there on by the WAL.

The first load makes the slot and reads the state that the slot's making exported, so the two meet without a gap or
a repeat. Killed in the middle, it goes on by key in what the table is by then: rows may be newer than the slot's
start, but everything that made them so is in the slot, is read right after, and is later in `_order`. A slot that
is lost is answered by a new one and everything again, in a new era: `_order` counts eras first, since the LSNs of
a restored server may be lower than what has landed.

The WAL leaves out a large value that an update did not touch. It is read from the table, which may have moved on:
then a later change brings the same value again. Known untruth: where the row is gone by now, the value is null in
the version before its deletion.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from data_platform.connectors.base import Batch, Landed, Offer, Part, Position
from data_platform.connectors.keys import gone_keys, key_columns, live_keys
from data_platform.connectors.postgres.described import Described, qualified
from data_platform.connectors.postgres.pgoutput import Change, Committed, Decoder
from data_platform.connectors.postgres.reader import beyond, read_rows
from data_platform.connectors.postgres.session import Database
from data_platform.connectors.postgres.slots import Slot, number_of
from data_platform.connectors.postgres.unchanged import with_unchanged
from data_platform.connectors.postgres.values import is_out_of_range, moments_of, typed_rows
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.declarations import SourceTable

CHANGES_PER_BATCH = 20_000
# A quiet table moves its slot on after so many bytes of other tables' WAL, which the server keeps until then.
RENEWED_EVERY = 64 * 1024 * 1024
# `_order` is era, LSN of the commit, place within the transaction; each has room for all it can be.
_ERA: Final = 10**32
_LSN: Final = 10**12
_ORDER: Final = pa.decimal128(38, 0)


@dataclass(frozen=True)
class Reached:
    """What was committed before `lsn` has landed; `after` is the key that the whole read stands at (None: done)."""

    lsn: int
    era: int
    after: tuple[Any, ...] | None

    @classmethod
    def of(cls, position: Position) -> "Reached":
        snapshot = position["snapshot"]
        return cls(
            number_of(position["lsn"]),
            position["era"],
            None if snapshot is None else tuple(snapshot["after"]),
        )

    @property
    def position(self) -> dict[str, Any]:
        return {
            "lsn": f"{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}",
            "era": self.era,
            "snapshot": None if self.after is None else {"after": list(self.after)},
        }

    @property
    def order(self) -> int:
        """The place of the rows read whole: before every change that follows."""
        return self.era * _ERA + self.lsn * _LSN


class Capture:
    """One load of one table."""

    def __init__(self, database: Database, table: SourceTable, landed: Landed) -> None:
        self.database = database
        self.table = table
        self.landed = landed
        self.notes: list[str] = []
        # The keys that changed in this load, some at a time: a truncate deletes these too.
        self.changed: list[pa.Table] = []

    def offer(self) -> Offer:
        with ExitStack() as stack:
            self.session = stack.enter_context(self.database.session())
            self.slot = Slot(self.database, self.session, self.table)
            stack.enter_context(self.slot.held())
            self.described = Described.by(self.session, self.table)
            self.whole = stack.enter_context(self.database.columnar())
            self.start, self.end = self._begin()
            sessions = stack.pop_all()
        final = Reached(self.end, self.start.era, None)
        return Offer(
            parts=self._parts(sessions),
            position=final.position,
            drift=self.described.drift(),
            renew=self.start.after is not None or self.end - self.start.lsn > RENEWED_EVERY,
            notes=self.notes,
        )

    def _begin(self) -> tuple[Reached, int]:
        """Where this load starts and ends; a read of the whole table sees one state from here on."""
        before = Reached.of(self.landed.position) if self.landed.position else None
        missed = self.slot.missed(before.lsn) if before else None
        if before is None or missed:
            if missed:
                self.notes.append(f"{missed}, so changes may be missing; the whole table is read again")
            with self.slot.made(self.described) as exported:
                self.whole.begin(exported.snapshot)
            return Reached(exported.lsn, before.era + 1 if before else 1, ()), exported.lsn
        self.slot.advance(before.lsn)
        self.whole.begin()
        end = int(self.whole.row("select (pg_current_wal_flush_lsn() - '0/0')::text")[0])
        return before, max(end, before.lsn)

    def _parts(self, sessions: ExitStack) -> Iterator[Part]:
        with sessions:
            if self.start.after is not None:
                yield from self._whole_table(self.start.after)
            self.whole.end()
            if self.end > self.start.lsn:
                batches = self._explained(self._changes())
                # A part of nothing would only make the count unknown.
                if (first := next(batches, None)) is not None:
                    yield Part(chain([first], batches), None, (*self.table.key, "_order"), may_repeat=False)

    def _whole_table(self, after: tuple[Any, ...]) -> Iterator[Part]:
        identity = (*self.table.key, "_order")
        condition = beyond(self.table.key, after) if after else "true"
        count, checked = self._looked_over(condition)
        if count:
            rows = self._explained(self._rows_from(condition, checked))
            yield Part(rows, count, identity, may_repeat=False)
        if self.start.era > 1:
            keys = read_rows(self.whole, self.described, "true", only=self.table.key)
            gone = gone_keys(self.table, self.landed, (rows.columns for rows in keys))
            if gone.num_rows:
                origin = f"{self.table.reads}, comparing keys"
                tombstones = self._tombstones(gone, origin, self.start.order)
                yield Part(
                    iter([Batch(tombstones, self.start.position)]), gone.num_rows, identity, may_repeat=False
                )

    def _explained(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Whoever takes the batches meets a connection that breaks, and not whoever takes the parts."""
        with self.database.explained():
            yield from batches

    def _looked_over(self, condition: str) -> tuple[int, list[str]]:
        """How many rows there are, and the columns of moments that all are in range."""
        moments = moments_of(self.described)
        questions = ["count(*)", *(f"bool_or({is_out_of_range(column)})" for column in moments)]
        count, *out = self.whole.row(
            f"select {', '.join(questions)} from {qualified(self.table)} where {condition}"
        )
        return count, [column.name for column, some in zip(moments, out, strict=True) if not some]

    def _rows_from(self, condition: str, checked: Collection[str]) -> Iterator[Batch]:
        origin = f"{self.table.reads} as of {self.start.position['lsn']}"
        key = self.table.key
        for rows in read_rows(self.whole, self.described, condition, order=key, checked=checked):
            order = pa.repeat(pa.scalar(self.start.order, _ORDER), len(rows))
            landed = bronze_rows(self.table, rows, op="upsert", origin=origin, order=order)
            last = [rows.columns[name][-1].as_py() for name in self.table.key]
            position = (
                None if None in last else replace(self.start, after=tuple(map(_written, last))).position
            )
            yield Batch(landed, position)

    def _changes(self) -> Iterator[Batch]:
        """What was committed since the start, in batches; one that ends with its transaction has a position."""
        pending: list[Change] = []
        for told in self._told():
            if isinstance(told, Committed):
                if len(pending) >= CHANGES_PER_BATCH:
                    yield Batch(
                        self._rows_of(pending), replace(self.start, lsn=told.lsn, after=None).position
                    )
                    pending = []
                continue
            full = len(pending) >= 2 * CHANGES_PER_BATCH
            if pending and (full or told.op == "truncate" or told.shape is not pending[-1].shape):
                yield Batch(self._rows_of(pending))
                pending = []
            if told.op == "truncate":
                yield Batch(self._truncated(told))
            else:
                pending.append(told)
        if pending:
            yield Batch(self._rows_of(pending))

    def _told(self) -> Iterator[Change | Committed]:
        decoder = Decoder(self.described.types, self.table.key)
        with self.database.columnar() as stream:
            batches = stream.batches(self.slot.changes(self.end))
            messages = (message for batch in batches for message in batch.column(0).to_pylist())
            yield from decoder.changes(messages, self.start.lsn, self.end)

    def _rows_of(self, changes: Sequence[Change]) -> pa.RecordBatch:
        found = {column.name: column for column in changes[0].shape.columns}
        columns = with_unchanged(self.session, self.described, changes)
        texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
        rows = typed_rows(self.described, found, texts, {}, {})
        self.changed.append(key_columns(self.table, rows.columns))
        orders = [self._order(change) for change in changes]
        return bronze_rows(
            self.table,
            rows,
            op=pa.array([change.op for change in changes]),
            origin=pa.array([self._origin(change) for change in changes]),
            order=pa.array(orders, _ORDER),
        )

    def _truncated(self, change: Change) -> pa.RecordBatch:
        """Every key that was alive is deleted, those that changed in this load among them."""
        alive = pa.concat_tables([live_keys(self.table, self.landed), *self.changed])
        self.changed = []
        keys = alive.group_by(list(self.table.key)).aggregate([])
        return self._tombstones(keys, self._origin(change), self._order(change))

    def _tombstones(self, keys: pa.Table, origin: str, order: int) -> pa.RecordBatch:
        """Rows that know nothing but which row is gone."""
        columns: Mapping[str, pa.Array] = {
            name: keys.column(name).combine_chunks() for name in self.table.key
        }
        rows = Rows(columns, pa.nulls(keys.num_rows, pa.string()))
        orders = pa.repeat(pa.scalar(order, _ORDER), keys.num_rows)
        return bronze_rows(self.table, rows, op="delete", origin=origin, order=orders)

    def _order(self, change: Change) -> int:
        return self.start.era * _ERA + change.commit * _LSN + change.place

    def _origin(self, change: Change) -> str:
        return f"{self.table.reads}, WAL {change.commit >> 32:X}/{change.commit & 0xFFFFFFFF:X}"


def _written(value: Any) -> Any:
    """A part of a key as a position in JSON holds it; the database reads it as text again."""
    return value if isinstance(value, int | str) else str(value)
