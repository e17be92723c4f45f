"""Where rows with given keys may lie in a table, by the statistics in its log: which stretches of a key's values the
files cover that may hold one of them.

A merge that says so leaves all other files unread. The ends of a stretch are those of files, and a merge's commit
keeps them: ask with columns that say nothing of a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.lake.tables import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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


def where_keys_lie(
    spark: "SparkSession", table: LakeTable, rows: "DataFrame", columns: Sequence[str]
) -> str | None:
    """A condition on the table `t` that every row of it with a key among `rows` meets; by the one of these columns that
    leaves most files out. None where that is not worth its while."""
    stretches = {name: found for name in columns if (found := _stretches(table, name))}
    if not stretches:
        return None
    met = _met(spark, rows, stretches)
    name = min(stretches, key=lambda each: len(met[each]))
    if len(met[name]) > len(stretches[name]) // 2:
        return None
    ranges = _put_together([stretches[name][place] for place in sorted(met[name])], met[name])
    # Without any, no row is there.
    said = [f"t.`{name}` between {_literal(each.low)} and {_literal(each.high)}" for each in ranges]
    return f"({' or '.join(said)})" if said else f"t.`{name}` is null"


def _stretches(table: LakeTable, column: str) -> list[Stretch]:
    """Of each file, in their order; none where one of them does not say, or where there are few."""
    if table.delta is None:
        return []
    files = pa.table(table.delta.get_add_actions(flatten=True))
    if files.num_rows < FEWEST_FILES or f"min.{column}" not in files.column_names:
        return []
    lows, highs = (files.column(f"{end}.{column}").to_pylist() for end in ("min", "max"))
    if None in lows or None in highs:
        return []
    found = [Stretch(low, _covering(high)) for low, high in zip(lows, highs, strict=True)]
    return sorted(found, key=lambda each: each.low)


def _covering(high: Any) -> Any:
    return high + STATISTICS_TICK if isinstance(high, datetime) else high


def _met(
    spark: "SparkSession", rows: "DataFrame", stretches: Mapping[str, Sequence[Stretch]]
) -> dict[str, set[int]]:
    """By column, the places of the stretches that hold a value of the rows."""
    asked = []
    for name, held in stretches.items():
        listed = [(place, each.low, each.high) for place, each in enumerate(held)]
        kind = rows.schema[name].dataType.simpleString()
        known = F.broadcast(spark.createDataFrame(listed, f"place int, low {kind}, high {kind}"))
        within = (F.col(name) >= F.col("low")) & (F.col(name) <= F.col("high"))
        met = rows.select(name).join(known, within).select(F.lit(name).alias("column"), "place")
        asked.append(met.distinct())
    found = asked[0]
    for each in asked[1:]:
        found = found.unionByName(each)
    places: dict[str, set[int]] = {name: set() for name in stretches}
    for row in found.collect():
        places[row["column"]].add(row["place"])
    return places


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
    """As Spark SQL reads it in a session whose zone is UTC."""
    match value:
        case bool() | None:
            raise TypeError(f"files have no stretch of {type(value).__name__}")
        case int() | Decimal():
            return str(value)
        case float():
            return f"{value!r}D"
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return f"timestamp'{moment:%Y-%m-%d %H:%M:%S.%f}'"
        case date():
            return f"date'{value.isoformat()}'"
        case _:
            escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
