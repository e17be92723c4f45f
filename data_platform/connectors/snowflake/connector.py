"""The Snowflake connector: the questions that a load by moments has, in Snowflake's dialect."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from data_platform.connectors.base import Landed, Offer, Part
from data_platform.connectors.incremental import by_moment, incremental_offer, over_by
from data_platform.connectors.keyset import Dialect, KeysetTable
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


class Asked(KeysetTable):
    """One table, asked (`connectors.incremental.AskedTable`)."""

    def __init__(self, session: Session, table: SourceTable) -> None:
        cursor = by_moment(table).cursor
        place = ".".join(quoted(part) for part in table.reads.split("."))
        described = Described(table, cursor, session.describe(f"select * from {place}"))
        dialect = Dialect(lambda name: quoted(described.fields[name].theirs), _moment, _literal)
        super().__init__(table, session, described, dialect, place)
        self.digits = described.fields[cursor].scale

    @property
    def origin(self) -> str:
        return f"Snowflake {self.table.reads}"

    @property
    def lies_by_key(self) -> bool:
        """Snowflake keeps no key, and rows in no order of one."""
        return False

    def now(self) -> datetime:
        ((now,),) = self.answering.ask("select sysdate()")
        return over_by(now, self.digits)


def _literal(column: Column, value: Any) -> str:
    """A value as Snowflake reads it, whatever characters it has."""
    if column.type.kind in ("bigint", "decimal"):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _moment(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'::timestamp_ntz"
