"""One load of one source table: what the connector offers, into bronze, with the position in each commit."""

import gc
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property

import pyarrow as pa

from data_platform.connectors.base import (
    Batch,
    Connector,
    Drift,
    Landed,
    Offer,
    Part,
    Position,
    ReadAgain,
    Rejected,
    SourceError,
    Windowed,
)
from data_platform.declarations import SourceTable, Stream
from data_platform.lake.again import begun_again
from data_platform.lake.append import Appender
from data_platform.lake.errors import CommitLost
from data_platform.lake.landed import LandedTable, Seen
from data_platform.lake.receipts import Receipt
from data_platform.lake.schema import LANDED_ON, bronze_schema
from data_platform.lake.tables import Lake, LakeTable, Note

OBJECTS_BETWEEN_LOOKS = 100_000

REJECTED_SCHEMA = pa.schema(
    [
        ("_origin", pa.string()),
        ("_reason", pa.string()),
        ("_body", pa.binary()),
        ("_batch", pa.int64()),
        ("_landed_at", pa.timestamp("us", "UTC")),
    ]
)


@dataclass(frozen=True)
class Loaded:
    """What a load did. `batch` is the table's newest afterwards, whether or not this load wrote it; `held` the table
    as it stands, for the next load of the same process."""

    receipt: Receipt
    batch: int
    rows: int
    position: Position | None
    drift: Sequence[Drift]
    notes: Sequence[str]
    gaps: Sequence[str]
    held: LakeTable = field(repr=False)


def load(
    table: SourceTable,
    connector: Connector,
    lake: Lake,
    commit_rows: int,
    days: tuple[date, date] | None = None,
    held: LakeTable | None = None,
) -> Loaded:
    """Land what the source holds beyond the table's position, or what it holds of the given days. `held` is the
    table where an earlier load has it open; else it is opened.

    Killed anywhere, it goes on from the position when run again.
    """
    _have_memory_given_back()
    with _cycles_looked_for_rarely():
        return begun_again(
            lambda: _Load(table, lake, commit_rows, held).run(connector, days),
            (ReadAgain, CommitLost),
            f"{table.system}.{table.name}",
        )


def _have_memory_given_back() -> None:
    """Pages are fetched, decoded and written by different threads. Arrow's usual pool keeps for a thread what others
    free, and grows with what was read; jemalloc, where Arrow has it, does not."""
    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())


@contextmanager
def _cycles_looked_for_rarely() -> Iterator[None]:
    """Python looks for objects that hold each other whenever some hundreds more have come than gone. Messages and
    records come by the ten thousands and hold none of the others: a tenth of Kafka's load went into looking."""
    first, *others = gc.get_threshold()
    gc.set_threshold(max(first, OBJECTS_BETWEEN_LOOKS), *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)


def bronze_table(table: SourceTable, lake: Lake) -> LakeTable:
    """The table's bronze, made or widened to what is declared."""
    stats = tuple(dict.fromkeys((*table.key, *table.read_by, "_batch", "_landed_at")))
    by_day = LANDED_ON if isinstance(table.load, Stream) else ""
    return lake.bronze(table).create(bronze_schema(table), stats, table.description, by_day)


class _Load:
    """One attempt at a load: the counts so far, and what is not yet committed."""

    def __init__(self, table: SourceTable, lake: Lake, commit_rows: int, held: LakeTable | None) -> None:
        self.table = table
        self.lake = lake
        self.commit_rows = commit_rows
        self.held = held.onward() if held else bronze_table(table, lake)
        # Where the position was taken back, rows that are there have landed before.
        self.reads_all_again = self.held.rows > 0 and not self.held.position
        self.receipt = Receipt()
        self.rejected: list[Rejected] = []
        self.appender = Appender(self.held)
        self.first_batch = self.appender.batch
        self.told: Callable[[Position], None] | None = None
        # The position after the last batch, of this part or of the one before it.
        self.reached: Position | None = None

    def run(self, connector: Connector, days: tuple[date, date] | None) -> Loaded:
        landed = LandedTable(self.table, self.held)
        offer = self._offered(connector, landed, days)
        self.told = offer.committed
        try:
            for part in offer.parts:
                self._read(part, landed)
            self._finish(offer)
        except BaseException:
            self.appender.discard()
            raise
        held = self.held.onward()
        return Loaded(
            self.receipt, held.batch, held.rows, held.position, offer.drift, offer.notes, offer.gaps, held
        )

    def _offered(self, connector: Connector, landed: Landed, days: tuple[date, date] | None) -> Offer:
        if days is None:
            return connector.offer(self.table, landed)
        if not isinstance(connector, Windowed):
            raise SourceError(
                f"{self.table.system}.{self.table.name} can't be asked for {days[0]} to {days[1]}: its connector "
                "does not read by days. Run it without a partition"
            )
        return connector.offer_days(self.table, landed, days)

    def _read(self, part: Part, landed: LandedTable) -> None:
        may_repeat = part.may_repeat or self.reads_all_again
        seen = (
            landed.rows_like(part.identity, part.since, part.until)
            if may_repeat
            else Seen(part.identity, None)
        )
        before = self.receipt.accounted
        if part.offered is None or self.receipt.offered is None:
            self.receipt.offered = None
        else:
            self.receipt.offered += part.offered
        for batch in part.batches:
            if self.reached is not None and self.appender.rows >= self.commit_rows:
                self._commit(self.reached)
            self._take(batch, seen, self._kept_back if may_repeat and batch.rejected else ())
            self.reached = batch.position
        self._settle(part, self.receipt.accounted - before)

    def _take(self, batch: Batch, seen: Seen, kept_back: Collection[str]) -> None:
        fresh = seen.without(batch.rows)
        rejected = [record for record in batch.rejected if record.origin not in kept_back]
        self.appender.write(fresh)
        self.rejected.extend(rejected)
        self.receipt.landed += fresh.num_rows
        self.receipt.overlap += batch.rows.num_rows - fresh.num_rows + len(batch.rejected) - len(rejected)
        self.receipt.quarantined += len(rejected)
        self.receipt.empty += batch.empty
        self.receipt.rescued += fresh.num_rows - fresh.column("_rescued").null_count

    @cached_property
    def _kept_back(self) -> set[str]:
        """The records that earlier loads put into quarantine, which an overlap shows again."""
        held = self.lake.quarantine(self.table)
        if not held.exists:
            return set()
        earlier = held.query(f"select _origin from held where _batch < {self.first_batch}")
        return set(earlier.column("_origin").to_pylist())

    def _settle(self, part: Part, read: int) -> None:
        """Where fewer (or more) rows came than were counted, count again: rows move while they are read."""
        if part.offered is None or part.offered == read or part.recount is None:
            return
        now = part.recount()
        if min(part.offered, now) <= read <= max(part.offered, now):
            self.receipt.moved += part.offered - read

    def _finish(self, offer: Offer) -> None:
        """The last commit carries the final position. A load that found nothing leaves no commit."""
        self.receipt.complete = True
        has_no_position = self.held.position is None and self.held.rows > 0
        if self.receipt.landed or self.rejected or offer.renew or has_no_position:
            self._commit(offer.position)

    def _commit(self, position: Position) -> None:
        self._quarantine(position)
        self.appender.commit(Note(position, self.receipt.as_dict()))
        if self.told:
            self.told(position)

    def _quarantine(self, position: Position) -> None:
        """Rejected records go first; those that a killed attempt wrote already are not written again."""
        if not self.rejected:
            return
        held = self.lake.quarantine(self.table).create(REJECTED_SCHEMA, ("_batch", "_landed_at"))
        written = set()
        if held.batch:
            again = held.query(f"select _origin from held where _batch >= {self.first_batch}")
            written = set(again.column("_origin").to_pylist())
        fresh = [rejected for rejected in self.rejected if rejected.origin not in written]
        self.rejected = []
        if fresh:
            quarantine = Appender(held)
            quarantine.write(_rejected_rows(fresh, self.appender.batch))
            quarantine.commit(Note(position, replace(Receipt(), landed=len(fresh)).as_dict()))


def _rejected_rows(rejected: Sequence[Rejected], batch: int) -> pa.RecordBatch:
    """`_batch` is that of the bronze commit which they belong to."""
    columns = [
        [record.origin for record in rejected],
        [record.reason for record in rejected],
        [record.body for record in rejected],
        [batch] * len(rejected),
        [datetime.now(UTC)] * len(rejected),
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, REJECTED_SCHEMA, strict=True)],
        schema=REJECTED_SCHEMA,
    )
