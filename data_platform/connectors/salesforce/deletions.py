"""Which records are gone for good: those that no query shows any more.

A query shows what lies in the recycle bin. What was deleted past the bin, or emptied from it, is told by
getDeleted for some days; where that does not reach back to our last load, keys are compared.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.salesforce.api import Org, Refused
from data_platform.connectors.salesforce.soql import moment

# The vendor drops seconds and refuses a window under a minute.
SHORTEST_WINDOW = timedelta(minutes=2)
# Beyond what getDeleted remembers, or more than it lists.
_OUT_OF_REACH = frozenset({"INVALID_REPLICATION_DATE", "EXCEEDED_ID_LIMIT"})
_NOT_OFFERED = frozenset({"NOT_FOUND", "INVALID_TYPE", "METHOD_NOT_ALLOWED", "FUNCTIONALITY_NOT_ENABLED"})


@dataclass
class Gone:
    """The records told as deleted up to `until`, each with when; `compare` asks to find them by keys."""

    until: datetime
    dates: dict[str, datetime] = field(default_factory=dict)
    compare: bool = False
    note: str | None = None
    shown_deleted: set[str] = field(default_factory=set)

    def heed(self, keys: pa.Array, cursors: pa.Array, deleted: pa.Array) -> None:
        """Leaves out what a read shows with all its columns: as deleted, or alive after its deletion."""
        if self.compare:
            self.shown_deleted.update(keys.filter(deleted).to_pylist())
        if not self.dates:
            return
        told = pc.is_in(keys, value_set=pa.array(self.dates, pa.string()))
        rows = [column.filter(told).to_pylist() for column in (keys, cursors, deleted)]
        for key, cursor, is_deleted in zip(*rows, strict=True):
            if key in self.dates and (is_deleted or cursor >= self.dates[key]):
                del self.dates[key]

    def among(self, missing: list[str]) -> dict[str, datetime]:
        """Those of the missing keys that no read showed as deleted, which stands for when they went."""
        return {key: self.until for key in missing if key not in self.shown_deleted}


def gone_since(org: Org, reads: str, start: datetime, end: datetime) -> Gone:
    """What getDeleted tells of the time from start to end."""
    start = min(start, end - SHORTEST_WINDOW)
    try:
        said = org.deleted(reads, start, end)
    except Refused as refused:
        if refused.code in _OUT_OF_REACH:
            return _to_compare(
                end, f"Salesforce no longer tells what was deleted since {start:%Y-%m-%d %H:%M}"
            )
        if refused.code in _NOT_OFFERED:
            note = f"Salesforce does not tell what is deleted from {reads} for good ({refused.code})"
            return Gone(end, note=note)
        raise
    if moment(said["earliestDateAvailable"]) > start:
        told = f"Salesforce tells what was deleted only since {said['earliestDateAvailable']}"
        return _to_compare(end, told)
    dates = {record["id"]: moment(record["deletedDate"]) for record in said["deletedRecords"]}
    return Gone(min(end, moment(said["latestDateCovered"])), dates)


def _to_compare(end: datetime, told: str) -> Gone:
    return Gone(
        end, compare=True, note=f"{told}, so the keys that we hold were compared with those that are there"
    )
