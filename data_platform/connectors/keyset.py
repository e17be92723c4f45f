"""The rows of a span as a condition of SQL: beyond one row in the order of reading, and below an end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data_platform.connectors.incremental import Span, Whole, by_moment
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
