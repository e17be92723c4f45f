"""A table read by the moment its rows changed: the questions of `connectors.incremental` in PostgreSQL's SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from data_platform.connectors.base import Drift
from data_platform.connectors.incremental import Span, Whole
from data_platform.connectors.postgres.described import Described, qualified
from data_platform.connectors.postgres.reader import beyond, read_rows
from data_platform.connectors.postgres.session import Database, literal, quoted, rows_of
from data_platform.connectors.records import Rows
from data_platform.declarations import SourceTable


@dataclass(frozen=True)
class AskedTable:
    """One table; each question has a session of its own, since a load may take long between two."""

    database: Database
    described: Described

    @property
    def table(self) -> SourceTable:
        return self.described.table

    @property
    def drift(self) -> Sequence[Drift]:
        return self.described.drift()

    @property
    def origin(self) -> str:
        return f"{self.table.reads} by query"

    def now(self) -> datetime:
        with self.database.session() as session:
            ((now,),) = rows_of(session, "select clock_timestamp()")
        moment: datetime = now
        return moment

    @property
    def lies_by_key(self) -> bool:
        return self.described.identity == frozenset(self.table.key)

    def count(self, span: Span | Whole) -> int:
        question = f"select count(*) from {qualified(self.table)} where {self._within(span)}"
        with self.database.session() as session:
            ((count,),) = rows_of(session, question)
        return int(count)

    def read(self, span: Span | Whole) -> Iterator[Rows]:
        cursors = () if isinstance(span, Whole) else self.table.cursors
        order = (*cursors, *self.table.key)
        with self.database.columnar() as session:
            yield from read_rows(session, self.described, self._within(span), order)

    def present_keys(self) -> Iterator[Mapping[str, pa.Array]]:
        with self.database.columnar() as session:
            for rows in read_rows(session, self.described, "true", only=self.table.key):
                yield rows.columns

    def _within(self, span: Span | Whole) -> str:
        (cursor,) = self.table.cursors
        if isinstance(span, Whole):
            below = f"({quoted(cursor)} < {literal(span.end.isoformat())} or {quoted(cursor)} is null)"
            return f"{below} and {beyond(self.table.key, span.after)}" if span.after else below
        if span.end is None:
            return f"{quoted(cursor)} is null"
        below = f"{quoted(cursor)} < {literal(span.end.isoformat())}"
        if span.after is None:
            return below
        moment = span.after.cursor.isoformat()
        if not span.after.key:
            return f"{quoted(cursor)} >= {literal(moment)} and {below}"
        return f"{beyond((cursor, *self.table.key), (moment, *span.after.key))} and {below}"


def asked_table(database: Database, table: SourceTable) -> AskedTable:
    with database.session() as session:
        return AskedTable(database, Described.by(session, table))
