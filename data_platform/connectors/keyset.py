"""A table that is read by spans in SQL: a span as a condition, beyond one row in the order of reading and below an
end; and the questions that a load has, in whichever dialect."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import Drift
from data_platform.connectors.columnar import rows_from_columns
from data_platform.connectors.incremental import Span, Whole, by_moment
from data_platform.connectors.records import Rows
from data_platform.declarations import Column, SourceTable


@dataclass(frozen=True)
class Dialect:
    """How a database writes the name of a column, a moment, and a value of a column."""

    name: Callable[[str], str]
    moment: Callable[[datetime], str]
    value: Callable[[Column, Any], str]

    def within(self, table: SourceTable, span: Span | Whole) -> str:
        cursor = self.name(by_moment(table).cursor)
        if isinstance(span, Whole):
            below = f"({cursor} < {self.moment(span.end)} or {cursor} is null)"
            keys = [table.by_name[name] for name in table.key]
            return f"{below} and ({self._beyond(keys, span.after)})" if span.after else below
        if span.end is None:
            return f"{cursor} is null"
        below = f"{cursor} < {self.moment(span.end)}"
        if span.after is None:
            return below
        after = self.moment(span.after.cursor)
        # A range of the cursor alone, which an index or a partition's statistics can be asked for.
        from_there = f"{below} and {cursor} >= {after}"
        if not span.after.key:
            return from_there
        keys = [table.by_name[name] for name in table.key]
        return f"{from_there} and ({cursor} > {after} or ({self._beyond(keys, span.after.key)}))"

    def order(self, table: SourceTable, span: Span | Whole) -> str:
        cursor = () if isinstance(span, Whole) else (by_moment(table).cursor,)
        return ", ".join(self.name(name) for name in (*cursor, *table.key))

    def _beyond(self, keys: Sequence[Column], values: Sequence[Any]) -> str:
        """A row's key comes after these values."""
        (first, *others), (value, *rest) = keys, values
        name, written = self.name(first.name), self.value(first, value)
        if not others:
            return f"{name} > {written}"
        return f"{name} > {written} or ({name} = {written} and ({self._beyond(others, rest)}))"


class Described(Protocol):
    """The table's columns as they are today; `selected` is how they, or one of them, are asked for."""

    @property
    def fields(self) -> Mapping[str, Any]: ...

    @property
    def selected(self) -> str: ...

    @property
    def undeclared(self) -> Sequence[str]: ...

    def drift(self) -> Sequence[Drift]: ...


class Answering(Protocol):
    """What takes questions in SQL: small answers whole, large ones in batches as they come."""

    def ask(self, question: str) -> Sequence[Any]: ...

    def stream(self, question: str) -> Iterator[pa.RecordBatch]: ...


class KeysetTable:
    """What a table is asked in any dialect (`connectors.incremental.AskedTable`, but for the clock and the key)."""

    def __init__(
        self, table: SourceTable, answering: Answering, described: Described, dialect: Dialect, place: str
    ) -> None:
        self.table = table
        self.answering = answering
        self.described = described
        self.dialect = dialect
        self.place = place

    @property
    def drift(self) -> Sequence[Drift]:
        return self.described.drift()

    def count(self, span: Span | Whole) -> int:
        within = self.dialect.within(self.table, span)
        ((count,),) = self.answering.ask(f"select count(*) from {self.place} where {within}")
        return int(count)

    def read(self, span: Span | Whole) -> Iterator[Rows]:
        batches = self.answering.stream(
            f"select {self.described.selected} from {self.place} "
            f"where {self.dialect.within(self.table, span)} order by {self.dialect.order(self.table, span)}"
        )
        return worked_ahead(self._typed, read_ahead(batches))

    def present_keys(self) -> Iterator[Mapping[str, pa.Array]]:
        keys = [self.table.by_name[name] for name in self.table.key]
        selected = ", ".join(self.described.fields[name].selected for name in self.table.key)
        for batch in self.answering.stream(f"select {selected} from {self.place}"):
            yield rows_from_columns(batch, keys, ()).columns

    def _typed(self, batch: pa.RecordBatch) -> Rows:
        return rows_from_columns(batch, self.table.columns, self.described.undeclared)
