"""The DynamoDB connector: a table scanned whole once, and followed by its stream from where that was taken.

The places in the stream are taken before the scan begins, at its tip, so what is written meanwhile is in the stream
as well, is read right after, and is later in `_order`. Where the stream can't be followed on (it keeps a day; the
table was made anew), the table is scanned again in a new era, and what was deleted unseen is found by the keys that
the scan did not show. Known untruths: an item that was written while the table was scanned may land twice, by the
scan and by the stream; of what was changed in the time that is lost only the outcome is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import pyarrow as pa

from data_platform.connectors.ahead import read_ahead
from data_platform.connectors.base import Batch, Drift, Landed, Offer, Part, ReadAgain, SourceError
from data_platform.connectors.dynamodb.position import ORDER, Reached, next_era
from data_platform.connectors.dynamodb.scan import scanned, unread
from data_platform.connectors.dynamodb.session import Item, Record, Session, Trimmed
from data_platform.connectors.dynamodb.shards import lost, opened, taken_up
from data_platform.connectors.dynamodb.stream import Round, followed, tips
from data_platform.connectors.dynamodb.values import rows_of
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.connectors.shape import SeenShape
from data_platform.declarations import SourceTable, Stream
from data_platform.lake.schema import arrow_type
from data_platform.settings import Settings

# How long a stream keeps a change.
KEPT_FOR = timedelta(hours=24)
# A quiet table says so often how far it was read, so that a gap is told from a quiet time.
RENEWED_EVERY = timedelta(hours=12)
OPS = {"INSERT": "upsert", "MODIFY": "upsert", "REMOVE": "delete"}


class DynamoDB:
    """Reads DynamoDB's tables (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        if not isinstance(table.load, Stream):
            raise SourceError(
                f"{table.system}.{table.name} is declared as {type(table.load).__name__}, and DynamoDB is followed by "
                "its streams. Declare load=Stream(order=…)"
            )
        return _Load(Session(self._settings, table), table, landed, self._settings).offer()


class _Load:
    """One load of one table."""

    def __init__(self, session: Session, table: SourceTable, landed: Landed, settings: Settings) -> None:
        self.session = session
        self.table = table
        self.landed = landed
        self.segments = settings.dynamodb_scan_segments
        self.begun = datetime.now(UTC)
        self.notes: list[str] = []
        self.drift: list[Drift] = []
        self.shape = SeenShape(table.columns)
        # Of what was scanned in this load, where keys that are gone have to be found.
        self.keys: list[pa.Table] = []

    def offer(self) -> Offer:
        stream = self.session.stream()
        self.shards = self.session.shards(stream)
        before = Reached.of(self.landed.position) if self.landed.position else None
        start = self._start(stream, before)
        # An open shard does not say where it ends: who has read all parts finds here how far that was.
        self.final = dict(start.position)
        return Offer(
            parts=self._parts(start),
            position=self.final,
            drift=self.drift,
            renew=self._renews(before, start),
            notes=self.notes,
        )

    def _start(self, stream: str, before: Reached | None) -> Reached:
        missed = self._missed(stream, before) if before else None
        if before and not missed:
            return replace(before, shards=taken_up(self.shards, before.shards))
        if missed:
            self.notes.append(f"{missed}, so changes may be missing; the whole table is read again")
        places = tips(self.session, stream, self.shards, opened(self.shards), self.begun)
        era = next_era(self.landed.newest_order())
        return Reached(stream, era, unread(self.segments), places, self.begun)

    def _missed(self, stream: str, before: Reached) -> str | None:
        """Why the changes since the position can't be had from the stream any more; None where they can."""
        if stream != before.stream:
            return f"{self.table.reads} has another stream than it had: it was made anew, or its stream was"
        if gone := lost(self.shards, before.shards):
            return f"{len(gone)} of the stream's shards are gone, and were not read to their end"
        unread_yet = [shard for shard, place in before.shards.items() if place.how == "at"]
        if unread_yet and self.begun - before.read_at > KEPT_FOR:
            return f"{self.table.reads} was read more than {KEPT_FOR} ago, which is as long as its stream keeps changes"
        try:
            for shard, place in before.shards.items():
                if place.how == "after":
                    self.session.iterator(stream, shard, place)
        except Trimmed:
            return "the stream was trimmed beyond the table's position"
        return None

    def _renews(self, before: Reached | None, start: Reached) -> bool:
        """Whether the position moves though nothing lands: shards have closed, or it gets old."""
        if before is None or start.scan is not None or start.shards != before.shards:
            return True
        has_closed = any(
            self.shards[shard].last for shard, place in start.shards.items() if place.how != "ended"
        )
        return has_closed or self.begun - before.read_at > RENEWED_EVERY

    def _parts(self, start: Reached) -> Iterator[Part]:
        identity = (*self.table.key, "_order")
        if start.scan is not None:
            yield Part(self._scanned(start), None, identity, may_repeat=False)
            if gone := self._gone(start):
                yield Part(iter([gone]), gone.rows.num_rows, identity, may_repeat=False)
        batches = self._changes(replace(start, scan=None, read_at=self.begun))
        # A part of nothing would only make the count unknown.
        if (first := next(batches, None)) is not None:
            yield Part(chain([first], batches), None, identity, may_repeat=False)

    def _scanned(self, start: Reached) -> Iterator[Batch]:
        origin = f"{self.table.reads}, scanned for the stream's places of {start.read_at:%Y-%m-%dT%H:%M:%SZ}"
        for items, segments in read_ahead(scanned(self.session, start.scan or ()), 1):
            order = pa.repeat(pa.scalar(start.order, ORDER), len(items))
            rows = self._rows(items, "upsert", origin, order)
            if start.era > 1:
                self.keys.append(pa.Table.from_batches([rows]).select(list(self.table.key)))
            yield Batch(rows, replace(start, scan=segments).position)

    def _gone(self, start: Reached) -> Batch | None:
        """Deletions of what had landed before this era and was not found in it."""
        if start.era == 1:
            return None
        names = list(self.table.key)
        schema = pa.schema([(name, arrow_type(self.table.by_name[name].type)) for name in names])
        # What the lake is asked comes as views of strings, which Arrow compares with nothing.
        older = self.landed.live_keys(before=start.order).select(names).cast(schema)
        gone = older.join(pa.concat_tables([schema.empty_table(), *self.keys]), names, join_type="left anti")
        if not gone.num_rows:
            return None
        columns = {name: gone.column(name).combine_chunks() for name in names}
        rows = Rows(columns, pa.nulls(gone.num_rows, pa.string()))
        order = pa.repeat(pa.scalar(start.order, ORDER), gone.num_rows)
        landed = bronze_rows(
            self.table, rows, op="delete", origin=f"{self.table.reads}, comparing keys", order=order
        )
        return Batch(landed, replace(start, scan=None).position)

    def _changes(self, start: Reached) -> Iterator[Batch]:
        reached = start
        try:
            rounds = followed(self.session, start.stream, self.shards, start.shards, self.begun)
            for round_ in read_ahead(rounds, 1):
                reached = replace(start, shards=round_.places)
                self.final.update(reached.position)
                yield Batch(self._changed(round_, reached), reached.position)
        except Trimmed:
            raise ReadAgain(f"the stream of {self.table.reads} was trimmed while it was read") from None
        self.final.update(reached.position)

    def _changed(self, round_: Round, reached: Reached) -> pa.RecordBatch:
        records = [(shard, record) for shard, record in round_.records if record["eventName"] in OPS]
        told = [record["dynamodb"] for _, record in records]
        return self._rows(
            [each.get("NewImage") or each.get("OldImage") or each["Keys"] for each in told],
            pa.array([OPS[record["eventName"]] for _, record in records], pa.string()),
            pa.array([self._origin(shard, record) for shard, record in records], pa.string()),
            pa.array([reached.order_of(each["SequenceNumber"]) for each in told], ORDER),
        )

    def _rows(
        self, items: Sequence[Item], op: str | pa.Array, origin: str | pa.Array, order: pa.Array
    ) -> pa.RecordBatch:
        ignored = set(self.table.ignores)
        if ignored:
            items = [{name: value for name, value in item.items() if name not in ignored} for item in items]
        rows = rows_of(items, self.table.columns)
        self.shape.heed(rows)
        # An attribute that some items don't have is not one that is lost.
        self.drift[:] = [drift for drift in self.shape.drift if drift.kind != "lost"]
        return bronze_rows(self.table, rows, op=op, origin=origin, order=order)

    def _origin(self, shard: str, record: Record) -> str:
        by = record.get("userIdentity") or {}
        expired = ", by its time to live" if by.get("PrincipalId") == "dynamodb.amazonaws.com" else ""
        return f"{self.table.reads}, {shard} {record['dynamodb']['SequenceNumber']}{expired}"
