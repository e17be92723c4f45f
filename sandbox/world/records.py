"""The rows of one table, held by column: cheap to make by the million, and to change one by one."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]


class Records:
    """Rows in the order of their Ids. Moments are whole seconds since 1970, in UTC.

    Whoever prepares rows for sending may keep what it made in a `shelf`; a row that changes is taken off it.
    """

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        # The Salesforce notion of deletion: the recycle bin, and what was emptied out of it.
        self.deleted_at: dict[int, int] = {}
        self.purged: set[int] = set()
        # Rows that a long transaction has stamped and not yet committed: nobody sees them.
        self.held_back: set[int] = set()
        self._vectors: dict[str, npt.NDArray[Any]] = {}
        self._places: dict[str, int] = {}
        self._shelves: dict[Any, list[bytes | None]] = {}

    def __len__(self) -> int:
        return len(self.columns["Id"])

    @property
    def ids(self) -> list[str]:
        return self.columns["Id"]

    def place(self, record_id: str) -> int:
        """Where the record is."""
        if len(self._places) != len(self):
            self._places = {each: place for place, each in enumerate(self.ids)}
        if record_id not in self._places:
            raise LookupError(f"there is no record {record_id!r}")
        return self._places[record_id]

    def vector(self, name: str) -> npt.NDArray[Any]:
        """A column of moments or truths, for comparing all rows at once."""
        if name not in self._vectors:
            self._vectors[name] = np.array(self.columns[name])
        return self._vectors[name]

    def visible(self, *, deleted_since: int | None) -> Rows:
        """The rows that a query sees; with `deleted_since`, also those deleted after that moment."""
        seen = ~self.vector("IsDeleted")
        if deleted_since is not None:
            in_bin = [p for p, at in self.deleted_at.items() if at > deleted_since and p not in self.purged]
            seen[in_bin] = True
        seen[list(self.held_back)] = False
        return np.flatnonzero(seen)

    def append(self, rows: Mapping[str, list[Any]]) -> range:
        """Adds rows at the end; a column that they lack is null."""
        first, count = len(self), len(rows["Id"])
        for name, values in self.columns.items():
            values.extend(rows.get(name) or [None] * count)
        self._vectors.clear()
        for shelf in self._shelves.values():
            shelf.extend([None] * count)
        return range(first, first + count)

    def change(self, places: Iterable[int], **values: Any) -> None:
        """Gives the rows these values."""
        for place in places:
            for name, value in values.items():
                self.columns[name][place] = value
            for shelf in self._shelves.values():
                shelf[place] = None
        for name in values:
            self._vectors.pop(name, None)

    def add_column(self, name: str, values: list[Any]) -> None:
        self.columns[name] = values
        self._vectors.pop(name, None)
        self._shelves.clear()

    def shelf(self, key: Any) -> list[bytes | None]:
        """Room for one prepared piece per row; the oldest shelf goes where many are asked for."""
        if key not in self._shelves:
            while len(self._shelves) >= 4:
                del self._shelves[next(iter(self._shelves))]
            self._shelves[key] = [None] * len(self)
        return self._shelves[key]
