"""Loads that are killed on the way: what a test hands to a load in the place of its connector."""

from collections.abc import Iterator
from dataclasses import replace

from data_platform.connectors.base import Batch, Connector, Landed, Offer, Part
from data_platform.declarations import SourceTable


class Killed(BaseException):
    """The load's process is gone."""


class KilledWhileReading:
    """A connector whose load is killed when so many batches have been handed over."""

    def __init__(self, connector: Connector, after: int) -> None:
        self.connector = connector
        self.after = after

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        offer = self.connector.offer(table, landed)
        return replace(offer, parts=(replace(part, batches=self._until_killed(part)) for part in offer.parts))

    def _until_killed(self, part: Part) -> Iterator[Batch]:
        for batch in part.batches:
            if self.after == 0:
                raise Killed
            self.after -= 1
            yield batch
