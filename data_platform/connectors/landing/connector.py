"""The connector of landed files: each object once, and again when its content changed; corrupt ones to quarantine.

Many small objects are fetched ahead in threads and read together. A load that was killed goes on after the last
group of objects that was committed.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.ahead import worked_ahead
from data_platform.connectors.base import Batch, Drift, Landed, Offer, Part, Position, Rejected, SourceError
from data_platform.connectors.landing.formats import (
    BadRecord,
    Columns,
    Content,
    Corrupt,
    CsvLines,
    content_of,
)
from data_platform.connectors.landing.position import Reached
from data_platform.connectors.landing.reader import Reader
from data_platform.connectors.landing.storage import Found, storage_of
from data_platform.declarations import Incremental, Snapshot, SourceTable
from data_platform.settings import Settings

log = logging.getLogger(__name__)

# What is read together: memory is sized by it, and it is what a killed load reads again.
GROUP_BYTES = 16 << 20
GROUP_OBJECTS = 1_000
# Long objects are fetched fewer at once.
BYTES_AHEAD = 64 << 20
MOST_IN_ONE_GO = 32
# A longer object is named in quarantine, and stays where it is.
LARGEST_KEPT = 1 << 20


class LandingFiles:
    """Reads landed files (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return _Load(self._settings, table, _files(table), landed).offer()


@dataclass(frozen=True)
class _Opened:
    """An object, and what it holds or why it can't be read."""

    found: Found
    content: Content | None = None
    rejected: Rejected | None = None


class _Load:
    """One load of one table."""

    def __init__(self, settings: Settings, table: SourceTable, files: Snapshot, landed: Landed) -> None:
        self.table = table
        self.files = files
        self.storage = storage_of(settings)
        self.reader = Reader(table, files)
        self.reached = Reached.of(landed.position, files.look_back, datetime.now(UTC).date())
        self.handed_over = landed.position is not None and "layouts" not in landed.position
        self.unread = self.reached.unread(self.storage, files.prefix)
        self.drift: list[Drift] = []

    def offer(self) -> Offer:
        notes = []
        if self.handed_over:
            notes.append(
                f"{self.table.system}.{self.table.name} was read from its source itself until now; of the files "
                f"below {self.files.prefix} what landed that way already is left out"
            )
        return Offer(
            self._parts(), self._position_after_all(), self.drift, renew=self.handed_over, notes=notes
        )

    def _all_opened(self) -> Iterator[_Opened]:
        """The objects in order, several fetched at once; a thread takes many small ones in one go."""
        ahead = BYTES_AHEAD // (1 + max((found.size for found in self.unread), default=0))
        threads = max(1, min(self.storage.readers, ahead))
        in_one_go = max(1, min(MOST_IN_ONE_GO, ahead // threads, len(self.unread) // (4 * threads)))
        turns = (self.unread[at : at + in_one_go] for at in range(0, len(self.unread), in_one_go))
        return chain.from_iterable(worked_ahead(lambda turn: list(map(self._opened, turn)), turns, threads))

    def _position_after_all(self) -> Position:
        after = Reached.of(self.reached.position, self.files.look_back, self.reached.today)
        after.take(self.unread)
        return after.position

    def _parts(self) -> Iterator[Part]:
        for group in _groups(self._all_opened()):
            batches = self._batches(group)
            self.reached.take(each.found for each in group)
            batches[-1] = Batch(batches[-1].rows, self.reached.position, batches[-1].rejected)
            yield Part(
                iter(batches),
                sum(each.content.counted if each.content else 1 for each in group),
                self._identity,
                since=self._since(batches),
            )

    @property
    def _identity(self) -> Sequence[str]:
        """Without a cursor, a row is known by all that it holds."""
        if self.table.cursors:
            return (*self.table.key, *self.table.cursors, "_op")
        return (*(column.name for column in self.table.columns), "_op", "_rescued")

    def _since(self, batches: Sequence[Batch]) -> datetime | None:
        """The lowest cursor of the rows; a row without one is looked for among all."""
        if not isinstance(self.table.load, Incremental):
            return None
        cursors = pa.chunked_array([batch.rows.column(self.table.load.cursor) for batch in batches])
        if cursors.null_count or not len(cursors):
            return None
        lowest: datetime = pc.min(cursors).as_py()
        return lowest

    def _opened(self, found: Found) -> _Opened:
        body = self.storage.read(found)
        try:
            return _Opened(found, content_of(body, self.reader.key, self.files.entries))
        except Corrupt as reason:
            log.warning("%s goes to quarantine whole: %s", found.key, reason)
            kept = body if len(body) <= LARGEST_KEPT else self.storage.address(found).encode()
            return _Opened(found, rejected=Rejected(found.origin, str(reason), kept))

    def _batches(self, group: Sequence[_Opened]) -> list[Batch]:
        """At least one, for the position to be carried by."""
        readable = [(each.found, each.content) for each in group if each.content]
        self._look_for_drift([content for _, content in readable])
        origins = pa.array([found.origin for found, _ in readable], pa.string())
        rejected = [each.rejected for each in group if each.rejected]
        batches = []
        for read in self.reader.read([content for _, content in readable]):
            bad = [_rejected(readable[place][0], record) for place, record in read.bad]
            batches.append(Batch(self.reader.bronze(read, origins, self.files.deleted), rejected=bad))
        nothing = self.reader.nothing()
        return [*batches, Batch(nothing, rejected=rejected)] if rejected or not batches else batches

    def _look_for_drift(self, contents: Sequence[Content]) -> None:
        """Of forms that name their columns; what else a JSON record holds is in its row's `_rescued`."""
        named = {names for content in contents if (names := _names(content))}
        told = {each.column for each in self.drift}
        for names in sorted(named):
            fresh = [drift for drift in self.reader.drift(names) if drift.column not in told]
            told.update(drift.column for drift in fresh)
            self.drift.extend(fresh)


def _names(content: Content) -> tuple[str, ...]:
    if isinstance(content, Columns):
        return tuple(content.columns.column_names)
    return content.header if isinstance(content, CsvLines) else ()


def _files(table: SourceTable) -> Snapshot:
    """Where the files of a table are, and what they hold."""
    files = table.load if isinstance(table.load, Snapshot) else table.files
    if files is None:
        raise SourceError(
            f"{table.system}.{table.name} is to be read from files, and its declaration does not say where they are. "
            "Declare files=Snapshot(prefix=…), or take it out of SALESFORCE_ROUTES"
        )
    return files


def _groups(opened: Iterator[_Opened]) -> Iterator[list[_Opened]]:
    group: list[_Opened] = []
    size = 0
    for each in opened:
        if group and (len(group) >= GROUP_OBJECTS or size + each.found.size > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += each.found.size
    if group:
        yield group


def _rejected(found: Found, record: BadRecord) -> Rejected:
    return Rejected(f"{found.origin}:{record.place}", record.reason, record.body[:LARGEST_KEPT])
