"""The Snowflake connector: the questions that a load by moments has, in Snowflake's dialect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import Drift, Landed, Offer, Part
from data_platform.connectors.columnar import rows_from_columns
from data_platform.connectors.incremental import Span, Whole, by_moment, incremental_offer, over_by
from data_platform.connectors.keyset import Dialect
from data_platform.connectors.records import Rows
from data_platform.connectors.snowflake.describe import Described, quoted
from data_platform.connectors.snowflake.session import Session
from data_platform.declarations import Column, SourceTable
from data_platform.settings import Settings


class Snowflake:
    """Reads Snowflake's tables (`connectors.base.Connector`), each load in a session of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        session = Session(self._settings, table)
        offer = incremental_offer(table, Asked(session, table), landed)
        return replace(offer, parts=_and_then_close(session, offer.parts))


def _and_then_close(session: Session, parts: Iterator[Part]) -> Iterator[Part]:
    try:
        yield from parts
    finally:
        session.close()


class Asked:
    """One table, asked (`connectors.incremental.AskedTable`)."""

    def __init__(self, session: Session, table: SourceTable) -> None:
        self.session = session
        self.table = table
        cursor = by_moment(table).cursor
        self.described = Described(table, cursor, session.describe(f"select * from {self._from}"))
        self.dialect = Dialect(lambda name: quoted(self.described.fields[name].theirs), _moment, _literal)

    @property
    def drift(self) -> Sequence[Drift]:
        return self.described.drift()

    @property
    def origin(self) -> str:
        return f"Snowflake {self.table.reads}"

    def now(self) -> datetime:
        ((now,),) = self.session.ask("select sysdate()")
        return over_by(now, self.described.fields[by_moment(self.table).cursor].scale)

    @property
    def lies_by_key(self) -> bool:
        """Snowflake keeps no key, and rows in no order of one."""
        return False

    def count(self, span: Span | Whole) -> int:
        within = self.dialect.within(self.table, span)
        ((count,),) = self.session.ask(f"select count(*) from {self._from} where {within}")
        return int(count)

    def read(self, span: Span | Whole) -> Iterator[Rows]:
        batches = self.session.stream(
            f"select {self.described.selected} from {self._from} "
            f"where {self.dialect.within(self.table, span)} order by {self.dialect.order(self.table, span)}"
        )
        return worked_ahead(self._typed, read_ahead(batches))

    def present_keys(self) -> Iterator[Mapping[str, pa.Array]]:
        keys = [self.table.by_name[name] for name in self.table.key]
        selected = ", ".join(self.described.fields[name].selected for name in self.table.key)
        for batch in self.session.stream(f"select {selected} from {self._from}"):
            yield rows_from_columns(batch, keys, ()).columns

    def _typed(self, batch: pa.RecordBatch) -> Rows:
        return rows_from_columns(batch, self.table.columns, self.described.undeclared)

    @property
    def _from(self) -> str:
        return ".".join(quoted(part) for part in self.table.reads.split("."))


def _literal(column: Column, value: Any) -> str:
    """A value as Snowflake reads it, whatever characters it has."""
    if column.type.kind in ("bigint", "decimal"):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _moment(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'::timestamp_ntz"
