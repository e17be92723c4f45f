"""What a target is: a database that holds served tables, each with the position up to which it was loaded.

A target takes the rows and the position in one transaction. It is killed or refused before that, and holds what it
held; or after, and holds both.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from data_platform.gold.serving.changes import Reached
from data_platform.gold.serving.declared import Served


class TargetError(Exception):
    """A table can't be loaded; the target holds what it held, rows and position. The message quotes no value."""


class TargetUnreachable(TargetError):
    """The target did not answer, broke off, or had no room or lock for the load; it may later."""


# Classes of SQLSTATE: connections, conflicts of transactions, resources, locks, an operator's hand.
_MAY_PASS = ("08", "40", "53", "55", "57")


def refused(database: str, words: str, code: str) -> TargetError:
    """The database's own words, which quote no row in their first line, as an error of ours."""
    if code[:2] in _MAY_PASS:
        return TargetUnreachable(
            f"{database} ended the load: {words} ({code}); the table is as it was. Run again"
        )
    return TargetError(
        f"{database} refused the load: {words} ({code}); the table is as it was. Correct what it names, then run again"
    )


class PositionMoved(TargetError):
    """Another run loaded the table since this one looked; nothing of this one is in it, and looking again is safe."""


@dataclass(frozen=True)
class Held:
    """What a target holds of a table; it is whole where the table is there with every column that is served."""

    is_whole: bool = False
    reached: Reached | None = None
    rows: int = 0


@dataclass(frozen=True)
class Work:
    """A load: the rows that changed, or all that there are, between what the target held and what it reaches."""

    table: Served
    held: Held
    reaches: Reached
    takes_all: bool
    rows: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Counts:
    """What a load did by the target's own count: the rows that reached it, and what became of them.

    `gone` are those of the staged rows that silver has deleted, and that the table does not keep.
    """

    rows: int
    before: int = 0
    staged: int = 0
    gone: int = 0
    added: int = 0
    changed: int = 0
    deleted: int = 0

    @property
    def adds_up(self) -> bool:
        taken_on = self.staged == self.added + self.changed + self.gone
        return taken_on and self.rows == self.before + self.added - self.deleted


class Session(Protocol):
    """A connection to a target."""

    def held(self, table: Served) -> Held: ...

    def ask(self, question: str) -> list[tuple[Any, ...]]: ...

    def load(self, work: Work) -> Counts:
        """All of the work and its position, or nothing; `PositionMoved` where the target holds another by now."""


class Target(Protocol):
    """A kind of database that tables are served in."""

    @property
    def name(self) -> str:
        """As assets and pools are named by it."""

    def session(self) -> AbstractContextManager[Session]: ...
