"""The MySQL connector: the questions that a load by moments has, in MySQL's dialect."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import Drift, Landed, Offer, SourceError
from data_platform.connectors.columnar import rows_from_columns
from data_platform.connectors.incremental import Span, Whole, by_moment, incremental_offer, over_by
from data_platform.connectors.keyset import Dialect
from data_platform.connectors.mysql.database import Database
from data_platform.connectors.mysql.describe import Described, Field, quoted
from data_platform.connectors.records import Rows
from data_platform.declarations import Column, SourceTable
from data_platform.settings import Settings


class MySQL:
    """Reads MySQL's tables (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings)

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return incremental_offer(table, Asked(self._database, table), landed)


class Asked:
    """One table, asked (`connectors.incremental.AskedTable`)."""

    def __init__(self, database: Database, table: SourceTable) -> None:
        self.database = database
        self.table = table
        self.cursor = by_moment(table).cursor
        self.described = Described(table, self.cursor, self._fields())

    @property
    def drift(self) -> Sequence[Drift]:
        return self.described.drift()

    @property
    def origin(self) -> str:
        return f"MySQL {self.table.reads}"

    def now(self) -> datetime:
        ((now,),) = self.database.ask("select utc_timestamp(6)")
        return over_by(now, self.described.fields[self.cursor].fraction)

    @property
    def lies_by_key(self) -> bool:
        primary = self.database.ask(
            "select column_name from information_schema.key_column_usage "
            "where constraint_name = 'PRIMARY' and table_schema = %s and table_name = %s order by ordinal_position",
            *self._place,
        )
        return tuple(name for (name,) in primary) == self.table.key

    def count(self, span: Span | Whole) -> int:
        ((count,),) = self.database.ask(
            f"select count(*) from {self._from} where {DIALECT.within(self.table, span)}"
        )
        return int(count)

    def read(self, span: Span | Whole) -> Iterator[Rows]:
        batches = self.database.stream(
            f"select {self.described.selected} from {self._from} "
            f"where {DIALECT.within(self.table, span)} order by {DIALECT.order(self.table, span)}"
        )
        return worked_ahead(self._typed, read_ahead(batches))

    def present_keys(self) -> Iterator[Mapping[str, pa.Array]]:
        keys = [self.table.by_name[name] for name in self.table.key]
        selected = ", ".join(self.described.fields[name].selected for name in self.table.key)
        for batch in self.database.stream(f"select {selected} from {self._from}"):
            yield rows_from_columns(batch, keys, ()).columns

    def _typed(self, batch: pa.RecordBatch) -> Rows:
        return rows_from_columns(batch, self.table.columns, self.described.undeclared)

    @property
    def _from(self) -> str:
        return ".".join(quoted(part) for part in self.table.reads.split("."))

    @property
    def _place(self) -> tuple[str, str]:
        """The table's schema and name."""
        schema, _, name = self.table.reads.rpartition(".")
        return schema or self.database.schema, name

    def _fields(self) -> list[Field]:
        rows = self.database.ask(
            "select column_name, data_type, column_type, coalesce(numeric_precision, 0), "
            "coalesce(numeric_scale, 0), coalesce(datetime_precision, 0) from information_schema.columns "
            "where table_schema = %s and table_name = %s order by ordinal_position",
            *self._place,
        )
        if not rows:
            raise SourceError(
                f"MySQL at {self.database.where} shows no table {self.table.reads}; check `reads` of "
                f"{self.table.system}.{self.table.name}, and that the user of MYSQL_DSN may read it"
            )
        return [Field(row[0], row[1].lower(), row[2], *map(int, row[3:])) for row in rows]


def _literal(column: Column, value: Any) -> str:
    """A value as MySQL reads it, whatever characters it has."""
    if column.type.kind in ("bigint", "decimal"):
        return str(value)
    return f"_utf8mb4 x'{str(value).encode().hex()}'"


def _moment(moment: datetime) -> str:
    return f"timestamp'{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"


DIALECT = Dialect(quoted, _moment, _literal)
