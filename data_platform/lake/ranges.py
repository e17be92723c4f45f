"""Where rows with given keys may lie in a table, by the statistics in its log: which stretches of a key's values the
files cover that may hold one of them.

A merge that says so leaves all other files unread. The ends of a stretch are those of files, and a merge's commit
keeps them: ask with columns that say nothing of a person.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa

from data_platform.lake.tables import LakeTable

# Below this, reading all of them costs less than finding out.
FEWEST_FILES = 4
# More make a long condition, which each file's statistics are held against.
MOST_RANGES = 8
# Delta's writers cut the moments in statistics to this.
STATISTICS_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Stretch:
    """The values of one column in a file, or in several that lie beside each other."""

    low: Any
    high: Any


def where_keys_lie(table: LakeTable, rows: pa.Table, columns: Sequence[str]) -> str | None:
    """A condition on the table `t` that every row of it with a key among `rows` meets; by the one of these columns that
    leaves most files out. None where that is not worth its while."""
    stretches = {name: found for name in columns if (found := _stretches(table, rows.schema.field(name)))}
    if not stretches:
        return None
    met = {name: _met(rows.column(name), held) for name, held in stretches.items()}
    name = min(stretches, key=lambda each: len(met[each]))
    if len(met[name]) > len(stretches[name]) // 2:
        return None
    ranges = _put_together([stretches[name][place] for place in sorted(met[name])], met[name])
    # Without any, no row is there.
    said = [f"t.`{name}` between {_literal(each.low)} and {_literal(each.high)}" for each in ranges]
    return f"({' or '.join(said)})" if said else f"t.`{name}` is null"


def _stretches(table: LakeTable, column: pa.Field) -> list[Stretch]:
    """Of each file, in their order; none where one of them does not say, or where there are few."""
    if table.delta is None:
        return []
    files = pa.table(table.delta.get_add_actions(flatten=True))
    if files.num_rows < FEWEST_FILES or f"min.{column.name}" not in files.column_names:
        return []
    lows, highs = (
        files.column(f"{end}.{column.name}").cast(column.type).to_pylist() for end in ("min", "max")
    )
    if None in lows or None in highs:
        return []
    found = [Stretch(low, _covering(high)) for low, high in zip(lows, highs, strict=True)]
    return sorted(found, key=lambda each: each.low)


def _covering(high: Any) -> Any:
    return high + STATISTICS_TICK if isinstance(high, datetime) else high


def _met(column: pa.ChunkedArray, stretches: Sequence[Stretch]) -> set[int]:
    """The places of the stretches that hold one of these values."""
    values = sorted(value for value in column.unique().to_pylist() if value is not None)
    return {
        place
        for place, each in enumerate(stretches)
        if bisect_left(values, each.low) < bisect_right(values, each.high)
    }


def _put_together(held: Sequence[Stretch], places: set[int]) -> list[Stretch]:
    """As few stretches as may be said: first those side by side, then those with the fewest files between them."""
    numbers = sorted(places)
    gaps = sorted((after - before, place) for place, (before, after) in enumerate(pairwise(numbers), start=1))
    apart = {place for gap, place in gaps[::-1][: MOST_RANGES - 1] if gap > 1}
    ranges: list[Stretch] = []
    for place, each in enumerate(held):
        if ranges and place not in apart:
            last = ranges[-1]
            ranges[-1] = Stretch(last.low, max(last.high, each.high))
        else:
            ranges.append(each)
    return ranges


def _literal(value: Any) -> str:
    """As delta-rs reads it."""
    match value:
        case bool() | None:
            raise TypeError(f"files have no stretch of {type(value).__name__}")
        case int() | Decimal():
            return str(value)
        case float():
            return repr(value)
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return f"timestamp'{moment:%Y-%m-%d %H:%M:%S.%f}'"
        case date():
            return f"date'{value.isoformat()}'"
        case _:
            escaped = str(value).replace("'", "''")
            return f"'{escaped}'"
