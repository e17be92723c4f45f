"""The Salesforce connector: what a load of one object consists of.

The rows beyond the landed position, up to an end that Salesforce's own clock fixes; the records that are gone
for good; and, on a slower cycle, all rows again where the object has formulas, which move no cursor.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.base import Batch, Landed, Offer, Part, Position, SourceError
from data_platform.connectors.keys import gone_keys
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.connectors.salesforce.api import Org
from data_platform.connectors.salesforce.bulk import read_bulk
from data_platform.connectors.salesforce.deletions import Gone, gone_since
from data_platform.connectors.salesforce.describe import DELETED, Described
from data_platform.connectors.salesforce.position import Reached
from data_platform.connectors.salesforce.rest import last_place, read_rest
from data_platform.connectors.salesforce.soql import Question, is_live
from data_platform.declarations import Incremental, SourceTable
from data_platform.lake.schema import connector_schema
from data_platform.settings import Settings

# A quiet table's position is renewed this often, so that getDeleted's memory always reaches back to it.
RENEWED_EVERY = timedelta(days=7)


class Salesforce:
    """Reads Salesforce's objects (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._org = Org(settings)
        self._bulk_threshold = settings.salesforce_bulk_threshold

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return _Load(self._org, self._bulk_threshold, table, landed).offer()


class _Load:
    """One load of one object."""

    def __init__(self, org: Org, bulk_threshold: int, table: SourceTable, landed: Landed) -> None:
        self.org = org
        self.bulk_threshold = bulk_threshold
        self.table = table
        self.landed = landed
        self.load = _incremental(table)
        self.key = table.key[0]
        self.described = Described(table, self.load, org.describe(table.reads))
        self.end = org.now
        self.before = Reached.of(landed.position) if landed.position else Reached.nothing(self.end)
        self.start = self.before.start(self.load.overlap) if landed.position else None
        self.gone = self._ask_what_is_gone()

    def offer(self) -> Offer:
        quiet_for_long = self.end - self.before.until > RENEWED_EVERY
        return Offer(
            parts=self._parts(),
            position=self._after_all.position,
            drift=self.described.drift(),
            renew=self._compares_formulas or quiet_for_long,
            notes=[self.gone.note] if self.gone.note else [],
        )

    def _parts(self) -> Iterator[Part]:
        everything = self._question(self.described.asked)
        fresh = replace(everything, after=self.start, end=self.end)
        identity = (self.key, self.load.cursor, "_op")
        if count := self.org.count(fresh.count):
            yield Part(
                self._fresh_rows(fresh, count),
                count,
                identity,
                since=self.start.cursor if self.start else None,
                may_repeat=self.start is not None,
                recount=partial(self.org.count, fresh.count),
            )
        yield from self._gone_part(identity)
        if self._compares_formulas and self.start:
            older = replace(everything, end=self.start.cursor, only=is_live(self.described.marks_deleted))
            if count := self.org.count(older.count):
                formulas = {
                    name if name in self.table.by_name else "_rescued" for name in self.described.formulas
                }
                yield Part(
                    self._older_rows(older, count),
                    count,
                    (*identity, *sorted(formulas)),
                    recount=partial(self.org.count, older.count),
                )

    def _fresh_rows(self, question: Question, count: int) -> Iterator[Batch]:
        for rows in self._read(question, count):
            batch = self._bronze(rows, "Bulk" if self._is_bulk(count) else "REST")
            if DELETED in rows.columns:
                self.gone.heed(rows.columns[self.key], rows.columns[self.load.cursor], rows.columns[DELETED])
            position: Position | None = None
            if not self._is_bulk(count):
                place = last_place(rows, question)
                reached = replace(self.before, cursor=place.cursor, key=place.key, until=self.end)
                position = reached.position
            yield Batch(batch, position)

    def _older_rows(self, question: Question, count: int) -> Iterator[Batch]:
        position = None if self._is_bulk(count) else self._after_gone.position
        for rows in self._read(question, count):
            yield Batch(self._bronze(rows, "comparing formulas"), position)

    def _gone_part(self, identity: tuple[str, ...]) -> Iterator[Part]:
        dates, way = self.gone.dates, "getDeleted"
        if self.gone.compare:
            live = self._question([self.key, self.load.cursor])
            live = replace(live, only=is_live(self.described.marks_deleted))
            count = self.org.count(live.count)
            there = (rows.columns for rows in self._read(live, count))
            missing = gone_keys(self.table, self.landed, there).column(self.key)
            dates, way = self.gone.among(missing.to_pylist()), "comparing keys"
        if dates:
            batch = self._tombstones(dates, way)
            yield Part(
                iter([Batch(batch, self._after_gone.position)]),
                len(dates),
                identity,
                since=min(dates.values()),
            )

    def _tombstones(self, dates: dict[str, datetime], way: str) -> pa.RecordBatch:
        """Rows that know nothing but which record was deleted, and when."""
        schema = connector_schema(self.table)
        cursor = schema.field(self.load.cursor).type
        known = {self.key: pa.array(dates, pa.string()), self.load.cursor: pa.array(dates.values(), cursor)}
        rows = Rows(known | {DELETED: pa.repeat(True, len(dates))}, pa.nulls(len(dates), pa.string()))
        return self._bronze(rows, way)

    def _ask_what_is_gone(self) -> Gone:
        if self.start is None:
            return Gone(self.end)
        if not self.described.replicates:
            return Gone(
                self.end, note=f"Salesforce keeps no list of what was deleted from {self.table.reads}"
            )
        since = self.before.deletions_until - self.load.overlap
        return gone_since(self.org, self.table.reads, since, self.end)

    @property
    def _compares_formulas(self) -> bool:
        # A load that was cut short left off inside a moment; the one after this compares.
        if self.start is None or self.start.key or self.load.reread_every is None:
            return False
        return bool(self.described.formulas) and self.end - self.before.reread_at >= self.load.reread_every

    @property
    def _after_gone(self) -> Reached:
        return Reached(self.end, "", self.end, self.gone.until, self.before.reread_at)

    @property
    def _after_all(self) -> Reached:
        return replace(self._after_gone, reread_at=self.end) if self._compares_formulas else self._after_gone

    def _question(self, fields: list[str]) -> Question:
        return Question(self.table.reads, fields, self.load.cursor, self.key)

    def _is_bulk(self, count: int) -> bool:
        return count >= self.bulk_threshold

    def _read(self, question: Question, count: int) -> Iterator[Rows]:
        columns = [column for column in self.described.columns if column.name in question.fields]
        undeclared = [field.name for field in self.described.undeclared if field.name in question.fields]
        if self._is_bulk(count):
            return read_bulk(self.org, question, columns, undeclared, self.described)
        return read_rest(self.org, question, columns, undeclared)

    def _bronze(self, rows: Rows, way: str) -> pa.RecordBatch:
        origin = f"{self.table.reads} via {way} v{self.org.version}"
        return bronze_rows(self.table, rows, op=_op(rows), origin=origin)


def _op(rows: Rows) -> pa.Array:
    if DELETED not in rows.columns:
        return pa.repeat("upsert", len(rows))
    return pc.if_else(pc.fill_null(rows.columns[DELETED], False), "delete", "upsert")


def _incremental(table: SourceTable) -> Incremental:
    if not isinstance(table.load, Incremental):
        raise SourceError(
            f"{table.system}.{table.name} is declared as {type(table.load).__name__}, and Salesforce is read "
            "by a cursor. Declare load=Incremental(cursor=…, overlap=…)"
        )
    return table.load
