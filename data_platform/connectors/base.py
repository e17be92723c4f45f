"""What a connector is: a bounded read of one table, in batches that carry their position.

A connector fixes the end before it reads, yields Arrow batches in the declared types, and says after each how far
it has come. It writes nothing and remembers nothing: what it needs to know of earlier loads it asks of `Landed`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from data_platform.declarations import DataType, SourceTable

# How far a table's inputs have been read, as JSON; its shape is the connector's own.
Position = Mapping[str, Any]


class SourceError(Exception):
    """The source can't be read. The message names it, what was expected, what came and what to do; no payload."""


class CredentialsRefused(SourceError):
    """The source knows us not; trying again changes nothing."""


class QuotaReached(SourceError):
    """The source's quota is spent down to the reserve; the position stands, and the next run goes on."""


class ReadAgain(SourceError):
    """What was being read is gone (an expired result, a failed job); the read must start again from the table's
    position. The loader throws away what is uncommitted and asks for a new offer, a few times."""


@dataclass(frozen=True)
class Rejected:
    """A record that can't be decoded at all, on its way to quarantine."""

    origin: str
    reason: str
    body: bytes


@dataclass(frozen=True)
class Batch:
    """Rows in the table's bronze columns (the declared ones, `_op`, `_origin`, `_rescued`) and the position after
    them: None where the source gives none inside a read. `empty` places of the source's order, since the batch
    before, hold no record."""

    rows: pa.RecordBatch
    position: Position | None = None
    rejected: Sequence[Rejected] = ()
    empty: int = 0


@dataclass
class Part:
    """One question put to the source, and its answer.

    `identity` names the columns by which a row counts as landed already; `since` is the lowest cursor among the
    answer, so that only that much of bronze is looked at (None: all of it), `until` the highest where that is known,
    and `may_repeat` says whether any of it can have landed before at all. `recount` asks the source again how many
    rows the question has: rows may leave it (by changing) between the count and the read.
    """

    batches: Iterator[Batch]
    offered: int | None
    identity: Sequence[str]
    since: Any = None
    until: Any = None
    may_repeat: bool = True
    recount: Callable[[], int] | None = None


@dataclass(frozen=True)
class Drift:
    """A difference between what is declared and what the source says it has."""

    column: str
    kind: str  # 'new', 'lost' or 'type'
    declared: str
    found: str

    @property
    def says(self) -> str:
        match self.kind:
            case "new":
                return f"{self.column} ({self.found}) is not declared; it lands in _rescued: declare or ignore it"
            case "lost":
                return f"{self.column} is declared, and the source shows it no longer; it lands as null"
            case _:
                return f"{self.column} is declared {self.declared}, and the source now says {self.found}"


class Found(Protocol):
    """A column as a source describes it."""

    @property
    def says(self) -> str:
        """Its type, in the source's words."""

    def fits(self, declared: DataType) -> bool:
        """Whether the declared type holds all of its values."""


def drift_of(table: SourceTable, found: Mapping[str, Found], undeclared: Iterable[str]) -> list[Drift]:
    """The declaration against the columns that the source describes, those that nobody declared first."""
    drift = [Drift(name, "new", "", found[name].says) for name in undeclared]
    for column in table.columns:
        there = found.get(column.name)
        if there is None:
            drift.append(Drift(column.name, "lost", str(column.type), ""))
        elif not there.fits(column.type):
            drift.append(Drift(column.name, "type", str(column.type), there.says))
    return drift


@dataclass
class Offer:
    """What the source has for us beyond the landed position, up to an end fixed now.

    `position` is where the table stands once every part is read; `renew` asks for a commit of it even where no
    row landed (a slow cycle has ended, and must not be run again at once). `gaps` says in words what the source had
    removed before it was read. `committed` is told the position of each commit, once it stands.
    """

    parts: Iterator[Part]
    position: Position
    drift: Sequence[Drift] = ()
    renew: bool = False
    notes: list[str] = field(default_factory=list)
    gaps: Sequence[str] = ()
    committed: Callable[[Position], None] | None = None


class Landed(Protocol):
    """What a connector may ask about what its table holds already."""

    @property
    def position(self) -> Position | None:
        """None before the first load."""

    def live_keys(self, before: int | None = None) -> pa.Table:
        """The keys whose newest row is not a deletion; or those of them whose newest row lies before a place in the
        source's order (of a table declared as a Stream)."""

    def newest_order(self) -> int | None:
        """The highest place in the source's order that has landed (of a table declared as a Stream)."""

    def live_between(self, first: date, last: date, columns: Sequence[str]) -> pa.Table:
        """The rows of these days (of a table declared with a Window), by some columns, that are not deleted."""


class Connector(Protocol):
    """Reads one kind of source."""

    def offer(self, table: SourceTable, landed: Landed) -> Offer: ...


@runtime_checkable
class Windowed(Protocol):
    """Reads a kind of source a day at a time, and can be asked for days that it has read before."""

    def offer_days(self, table: SourceTable, landed: Landed, days: tuple[date, date]) -> Offer:
        """The rows of these days, the last one included. The position stays where it is."""
