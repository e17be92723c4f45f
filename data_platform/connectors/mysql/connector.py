"""The MySQL connector: the questions that a load by moments has, in MySQL's dialect."""

from datetime import UTC, datetime
from typing import Any

from data_platform.connectors.base import Landed, Offer, SourceError
from data_platform.connectors.incremental import by_moment, incremental_offer, over_by
from data_platform.connectors.keyset import Dialect, KeysetTable
from data_platform.connectors.mysql.database import Database
from data_platform.connectors.mysql.describe import Described, Field, quoted
from data_platform.declarations import Column, SourceTable
from data_platform.settings import Settings


class MySQL:
    """Reads MySQL's tables (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings)

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return incremental_offer(table, Asked(self._database, table), landed)


class Asked(KeysetTable):
    """One table, asked (`connectors.incremental.AskedTable`)."""

    def __init__(self, database: Database, table: SourceTable) -> None:
        self.database = database
        schema, _, name = table.reads.rpartition(".")
        self.known_as = (schema or database.schema, name)
        cursor = by_moment(table).cursor
        described = Described(table, cursor, _fields(database, table, self.known_as))
        place = ".".join(quoted(part) for part in table.reads.split("."))
        super().__init__(table, database, described, DIALECT, place)
        self.digits = described.fields[cursor].fraction

    @property
    def origin(self) -> str:
        return f"MySQL {self.table.reads}"

    @property
    def lies_by_key(self) -> bool:
        primary = self.database.ask(
            "select column_name from information_schema.key_column_usage "
            "where constraint_name = 'PRIMARY' and table_schema = %s and table_name = %s order by ordinal_position",
            *self.known_as,
        )
        return tuple(name for (name,) in primary) == self.table.key

    def now(self) -> datetime:
        ((now,),) = self.database.ask("select utc_timestamp(6)")
        return over_by(now, self.digits)


def _fields(database: Database, table: SourceTable, known_as: tuple[str, str]) -> list[Field]:
    rows = database.ask(
        "select column_name, data_type, column_type, coalesce(numeric_precision, 0), "
        "coalesce(numeric_scale, 0), coalesce(datetime_precision, 0) from information_schema.columns "
        "where table_schema = %s and table_name = %s order by ordinal_position",
        *known_as,
    )
    if not rows:
        raise SourceError(
            f"MySQL at {database.where} shows no table {table.reads}; check `reads` of {table.system}.{table.name}, "
            "and that the user of MYSQL_DSN may read it"
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
