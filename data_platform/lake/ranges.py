"""Where rows with given values may lie in a table, by the statistics in its log: in which files, and which ranges of a
key's values these cover.

A merge that says so leaves all other files unread. The ends of a range are those of files, and a merge's commit
keeps them: ask with columns that say nothing of a person.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.lake.tables import LakeTable

# Below this, reading all of them costs less than finding out.
FEWEST_FILES = 4
# More make a long condition, which each file's statistics are held against.
MOST_RANGES = 8
# Delta's writers cut the moments in statistics to this.
STATISTICS_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Range:
    """The values of one column in a file, or in several that lie beside each other."""

    low: Any
    high: Any


def where_keys_lie(table: LakeTable, rows: pa.Table, columns: Sequence[str]) -> str | None:
    """A condition on the table `t` that every row of it with a key among `rows` meets; by the one of these columns that
    leaves most files out. None where that is not worth its while."""
    if table.delta is None:
        return None
    files = pa.table(table.delta.get_add_actions(flatten=True))
    if files.num_rows < FEWEST_FILES:
        return None
    told = {name: _ranges(files, name, rows.schema.field(name).type) for name in columns}
    ranges = {name: sorted(found, key=lambda each: each.low) for name, found in told.items() if found}
    if not ranges:
        return None
    met = {name: _met(rows.column(name), held) for name, held in ranges.items()}
    name = min(ranges, key=lambda each: len(met[each]))
    # Of new rows none is there. This reads keys alone; the merge reads whole rows wherever it is told to look.
    there = _held(table, name, rows.column(name), _between(f'"{name}"', ranges[name], met[name]))
    places = _met(there, ranges[name])
    if len(places) > len(ranges[name]) // 2:
        return None
    return f"({_between(f't.`{name}`', ranges[name], places)})"


def _between(column: str, ranges: Sequence[Range], places: set[int]) -> str:
    together = _put_together([ranges[place] for place in sorted(places)], places)
    said = [f"{column} between {_literal(each.low)} and {_literal(each.high)}" for each in together]
    # Without any, no row is there.
    return " or ".join(said) or f"{column} is null"


def _held(table: LakeTable, name: str, wanted: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Those of the wanted values that the table has."""
    values = wanted.combine_chunks().unique()
    found = [values.slice(0, 0)]
    for held in table.answer(f'select "{name}" from held where {where}'):
        read = pa.chunked_array([held.column(0)]).cast(values.type)
        found += read.filter(pc.is_in(read, value_set=values)).chunks
    return pa.chunked_array(found, values.type)


def files_with(files: pa.Table, values: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Those of the files of a log that may hold a row with one of these values in each of these columns."""
    for name, told in values.items():
        if ranges := _ranges(files, name, told.type):
            met = _met(told, ranges)
            files = files.filter(pa.array(place in met for place in range(len(ranges))))
    return files


def _ranges(files: pa.Table, name: str, kind: pa.DataType) -> list[Range]:
    """Each file's; none where one of them does not say."""
    if f"min.{name}" not in files.column_names:
        return []
    lows, highs = (files.column(f"{end}.{name}").cast(kind).to_pylist() for end in ("min", "max"))
    if None in lows or None in highs:
        return []
    return [Range(low, _covering(high)) for low, high in zip(lows, highs, strict=True)]


def _covering(high: Any) -> Any:
    return high + STATISTICS_TICK if isinstance(high, datetime) else high


def _met(column: pa.ChunkedArray, ranges: Sequence[Range]) -> set[int]:
    """The places of the ranges that hold one of these values."""
    values = sorted(value for value in column.unique().to_pylist() if value is not None)
    return {
        place
        for place, each in enumerate(ranges)
        if bisect_left(values, each.low) < bisect_right(values, each.high)
    }


def _put_together(held: Sequence[Range], places: set[int]) -> list[Range]:
    """As few as may be said: first those side by side, then those with the fewest files between them."""
    numbers = sorted(places)
    gaps = sorted((after - before, place) for place, (before, after) in enumerate(pairwise(numbers), start=1))
    apart = {place for gap, place in gaps[::-1][: MOST_RANGES - 1] if gap > 1}
    joined: list[Range] = []
    for place, each in enumerate(held):
        if joined and place not in apart:
            last = joined[-1]
            joined[-1] = Range(last.low, max(last.high, each.high))
        else:
            joined.append(each)
    return joined


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
