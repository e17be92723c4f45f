"""The PostgreSQL connector: tables followed by their changes, and tables read by a cursor."""

from data_platform.connectors.base import Landed, Offer
from data_platform.connectors.incremental import incremental_offer
from data_platform.connectors.postgres.asked import asked_table
from data_platform.connectors.postgres.capture import Capture
from data_platform.connectors.postgres.session import Database
from data_platform.declarations import SourceTable, Stream
from data_platform.settings import Settings


class Postgres:
    """Reads PostgreSQL's tables (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings)

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        if isinstance(table.load, Stream):
            return Capture(self._database, table, landed).offer()
        return incremental_offer(table, asked_table(self._database, table), landed)
