"""How far a table has been read from Salesforce, as its commits carry it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from data_platform.connectors.base import SourceError
from data_platform.connectors.salesforce.soql import Place, moment, written


@dataclass(frozen=True)
class Reached:
    """Rows have been read up to (cursor, key), in a load that ended before `until`; deletions are known up to
    `deletions_until`; formulas were last compared at `reread_at`."""

    cursor: datetime
    key: str
    until: datetime
    deletions_until: datetime
    reread_at: datetime

    @classmethod
    def nothing(cls, end: datetime) -> "Reached":
        """Where a first load begins that ends at `end`: what changes from then on is for the later ones."""
        return cls(end, "", end, end, end)

    @classmethod
    def of(cls, position: Mapping[str, Any]) -> "Reached":
        # A table that was read from AppFlow's files in between goes on from where the API was left.
        position = position.get("before_files", position)
        if "cursor" not in position:
            raise SourceError(
                "the table's position is that of landed files, and says not from when on to ask Salesforce. Set it by "
                f"`data-platform position set` ({', '.join(field.name for field in fields(cls))}), or have the files "
                "read on by SALESFORCE_ROUTES"
            )
        moments = {name: moment(text) for name, text in position.items() if name != "key"}
        return cls(key=position["key"], **moments)

    @property
    def position(self) -> dict[str, str]:
        return {
            "cursor": written(self.cursor),
            "key": self.key,
            "until": written(self.until),
            "deletions_until": written(self.deletions_until),
            "reread_at": written(self.reread_at),
        }

    def start(self, overlap: timedelta) -> Place:
        """Where the next load begins: where this one stopped, or earlier, since rows show late."""
        return min(Place(self.cursor, self.key), Place(self.until - overlap))
