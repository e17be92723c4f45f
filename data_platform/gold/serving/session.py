"""What the targets' connections have in common, since their drivers follow DB-API: how a statement is given and an
answer taken, with errors in the target's own words."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from data_platform.gold.serving import statements
from data_platform.gold.serving.declared import Served
from data_platform.gold.serving.statements import Dialect
from data_platform.gold.serving.target import Counts, Held, Work


class Explaining(Protocol):
    """A target that puts its driver's errors into words."""

    def explained(self) -> AbstractContextManager[None]: ...


Its = TypeVar("Its", bound=Explaining)


class SqlSession(ABC, Generic[Its]):
    """A connection in which each statement stands alone until it is told to begin (`statements.Database`)."""

    dialect: ClassVar[Dialect]

    def __init__(self, target: Its, connection: Any) -> None:
        self._target = target
        self._connection = connection

    @abstractmethod
    def prepared(self, work: Work) -> AbstractContextManager[Callable[[], None]]:
        """How rows get into the staging table is each target's own."""

    def held(self, table: Served) -> Held:
        return statements.held(self, table)

    def load(self, work: Work) -> Counts:
        return statements.load(self, work)

    def execute(self, statement: str) -> int:
        with self._target.explained(), self._connection.cursor() as cursor:
            cursor.execute(statement)
            # Below none, or nothing at all, where the driver has no count of it.
            return max(int(cursor.rowcount or 0), 0)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with self._target.explained(), self._connection.cursor() as cursor:
            cursor.execute(question)
            return [tuple(row) for row in cursor.fetchall()]
