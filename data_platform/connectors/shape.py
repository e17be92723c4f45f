"""The shape that records came in, held against the declared one, where a source has no describe to ask."""

import threading
from collections.abc import Sequence

import msgspec
import pyarrow.compute as pc

from data_platform.connectors.base import Drift
from data_platform.connectors.records import Rows
from data_platform.declarations import Column

_KINDS = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


class SeenShape:
    """What the records of one load held so far; `drift` is kept up to date with each page."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.drift: list[Drift] = []
        self._declared = {column.name: column for column in columns}
        self._with_values: set[str] = set()
        self._rescued: dict[str, str] = {}
        # Two questions may be read at once.
        self._heeding = threading.Lock()

    def heed(self, rows: Rows) -> None:
        with_values = {name for name, values in rows.columns.items() if values.null_count < len(values)}
        with self._heeding:
            self._with_values |= with_values
            for rescued in pc.drop_null(rows.rescued).to_pylist():
                for name, value in msgspec.json.decode(rescued).items():
                    self._rescued.setdefault(name, _KINDS.get(type(value), "value"))
            self.drift[:] = self._found()

    def _found(self) -> list[Drift]:
        found = []
        for name, kind in self._rescued.items():
            declared = self._declared.get(name)
            found.append(
                Drift(name, "type" if declared else "new", str(declared.type) if declared else "", kind)
            )
        # A field may be empty for all of a few records. Beside one that is new it has most likely gone, or moved.
        if any(drift.kind == "new" for drift in found):
            lost = self._declared.keys() - self._with_values - self._rescued.keys()
            found += [Drift(name, "lost", str(self._declared[name].type), "") for name in sorted(lost)]
        return found
