"""The truth of gold's dimensions: what builds must have seen of each record, told in plain Python."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.gold.company import Row

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass
class Version:
    record: str
    number: int
    values: tuple[Any, ...]
    valid_from: datetime
    valid_to: datetime
    is_current: bool


@dataclass
class History:
    """The versions of one dimension's records, as builds saw them."""

    record_id: str
    attributes: Sequence[str]
    created: str
    changed: str
    versions: dict[str, list[Version]] = field(default_factory=dict)
    seen: int = -1

    def look(self, rows: Sequence[Row]) -> None:
        """A build."""
        touched = [row for row in rows if row["_batch"] > self.seen]
        for row in touched:
            self._take(row)
        self.seen = max([self.seen, *(row["_batch"] for row in rows)])

    def _take(self, row: Row) -> None:
        held = self.versions.setdefault(row[self.record_id], [])
        values = tuple(row.get(name) for name in self.attributes)
        if not held:
            created = row.get(self.created) or row.get(self.changed) or row["_landed_at"]
            self._begin(held, row, values, created)
            return
        last = held[-1]
        differs = last.values != values
        moment = self._moment_after(row, last.valid_from if last.is_current else last.valid_to)
        if last.is_current and (row["is_deleted"] or differs):
            last.valid_to, last.is_current = moment, False
            if not row["is_deleted"]:
                self._begin(held, row, values, moment)
        elif not last.is_current and not row["is_deleted"]:
            self._begin(held, row, values, moment)

    def _begin(self, held: list[Version], row: Row, values: tuple[Any, ...], since: datetime) -> None:
        until = self._moment_after(row, since) if row["is_deleted"] else FOREVER
        number = len(held) + 1
        held.append(Version(row[self.record_id], number, values, since, until, not row["is_deleted"]))

    def _moment_after(self, row: Row, moment: datetime) -> datetime:
        changed = row.get(self.changed)
        if changed and changed > moment:
            return changed
        return max(row["_landed_at"], moment + timedelta(microseconds=1))

    def at(self, record: str | None, moment: datetime | None) -> Version | None:
        """The version that stood at a moment; the first also stands for the time before it."""
        if moment is None:
            return None
        for version in self.versions.get(record or "", []):
            if (version.number == 1 or version.valid_from <= moment) and moment < version.valid_to:
                return version
        return None

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(
            (each.record, each.number, *each.values, each.valid_from, each.valid_to, each.is_current)
            for versions in self.versions.values()
            for each in versions
        )
