"""What a bronze table holds already: asked by a connector, and by the loader to leave out what landed before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.declarations import SourceTable, Window
from data_platform.lake.tables import LakeTable


@dataclass(frozen=True)
class LandedTable:
    """A source table's bronze, as its connector sees it (`connectors.base.Landed`)."""

    table: SourceTable
    held: LakeTable

    @property
    def position(self) -> Mapping[str, Any] | None:
        return self.held.position

    def live_keys(self, before: int | None = None) -> pa.Table:
        """The keys whose newest row is not a deletion; or those of them whose newest row lies before a place in the
        source's order."""
        if before is None:
            return self._newest(self.table.key, where="_op <> 'delete'")
        # A number of so many digits would be taken for a float.
        older = f"\"_order\" < cast('{before}' as decimal(38, 0))"
        return self._newest(self.table.key, where=f"_op <> 'delete' and {older}", also=("_order",))

    def newest_order(self) -> int | None:
        """The highest place in the source's order that has landed; None where nothing has."""
        if not self.held.rows:
            return None
        highest = self.held.query('select max("_order") as highest from held').column("highest")[0].as_py()
        return None if highest is None else int(highest)

    def rows_like(self, identity: Sequence[str], since: Any, until: Any = None) -> "Seen":
        """The landed rows by `identity`: those whose cursor is from `since` to `until`, or each key's newest.

        Where no cursor tells a row's versions apart, only the newest counts: a value may go back to what it was.
        """
        if not self.held.rows:
            return Seen(identity, None)
        if since is None:
            return Seen(identity, self._newest(identity))
        recent = f"{_quoted(self._cursor)} >= {_literal(since)}"
        if until is not None:
            recent += f" and {_quoted(self._cursor)} <= {_literal(until)}"
        if not self.table.cursors:
            return Seen(identity, self._landed_last(identity, recent))
        columns = ", ".join(_quoted(name) for name in identity)
        return Seen(identity, self.held.query(f"select {columns} from held where {recent}"))

    def live_between(self, first: date, last: date, columns: Sequence[str]) -> pa.Table:
        """The rows of these days, by some of their columns, that are not deleted."""
        days = f"{_quoted(self._cursor)} between {_literal(first)} and {_literal(last)}"
        return self._landed_last(columns, days, "_op <> 'delete'")

    @property
    def _cursor(self) -> str:
        """What `since` is a value of."""
        if isinstance(self.table.load, Window):
            return self.table.load.day
        return self.table.cursors[0]

    def _moment(self, cursor: str) -> str:
        """A row without a moment of its own is as new as its landing."""
        column = self.table.by_name.get(cursor)
        is_moment = column is not None and column.type.kind == "timestamp"
        return f'coalesce({_quoted(cursor)}, "_landed_at")' if is_moment else _quoted(cursor)

    def _landed_last(self, columns: Sequence[str], among: str, where: str = "true") -> pa.Table:
        """The rows of each key's newest batch: all of them, where a source shows one key several times."""
        wanted = ", ".join(_quoted(name) for name in columns)
        needed = ", ".join(sorted({_quoted(name) for name in (*columns, "_op")}))
        key = ", ".join(_quoted(name) for name in self.table.key)
        return self.held.query(
            f"select {wanted} from (select {needed}, rank() over (partition by {key} order by _batch desc) as place "
            f"from held where {among}) where place = 1 and {where}"
        )

    def _newest(self, columns: Sequence[str], where: str = "true", also: Sequence[str] = ()) -> pa.Table:
        wanted = ", ".join(_quoted(name) for name in columns)
        needed = ", ".join(sorted({_quoted(name) for name in (*columns, *self.table.key, "_op", *also)}))
        key = ", ".join(_quoted(name) for name in self.table.key)
        newest = ", ".join(
            [*(f"{self._moment(name)} desc" for name in self.table.cursors), "_batch desc", "_op"]
        )
        return self.held.query(
            f"select {wanted} from (select {needed}, row_number() over (partition by {key} order by {newest}) as place "
            f"from held) where place = 1 and {where}"
        )


class Seen:
    """A set of landed rows, told apart by some of their columns."""

    def __init__(self, identity: Sequence[str], rows: pa.Table | None) -> None:
        self.identity = identity
        self._marks = set(_marks(rows, identity).to_pylist()) if rows is not None and rows.num_rows else set()

    def without(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that did not land before."""
        if not self._marks or not rows.num_rows:
            return rows
        marks = _marks(pa.Table.from_batches([rows]), self.identity).to_pylist()
        return rows.filter(pa.array([mark not in self._marks for mark in marks]))


def _marks(rows: pa.Table, identity: Sequence[str]) -> pa.Array:
    """One text per row that is equal exactly where the identifying columns are."""
    columns = [_as_text(rows.column(name).combine_chunks()) for name in identity]
    return pc.binary_join_element_wise(*columns, "\x1f", null_handling="replace", null_replacement="\x00")


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    return column.cast(pa.string())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"timestamp '{value.astimezone(UTC).isoformat()}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    raise TypeError(
        f"a cursor of type {type(value).__name__} has no order to follow; declare a timestamp, date or integer"
    )
