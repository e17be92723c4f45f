"""Reading with Spark: the rows of a table as it stood when it was opened.

Its log was read then. Spark would read it again, and go through it in two jobs for each mention of the table in a plan;
it is told the files instead.
"""

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.schema import PrimitiveType

from data_platform.lake.ranges import files_with
from data_platform.lake.tables import LakeTable

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# The values, never none, that are looked for in some columns. They may end up in the message of an error: not a
# person's.
Wanted = Mapping[str, pa.ChunkedArray]

# The names of more take longer to hand over than Spark takes to find them.
MOST_FILES = 1_000
# What a table asks of its readers where its rows are those of its files: no deletion vectors, no columns renamed.
PLAIN = 1
# Partitions whose values are told by the names of their folders, whoever made these.
BY_NAME = ("date", "integer", "long")


def wanted_of(rows: pa.Table) -> Wanted:
    """What these rows have, in each column in which they have anything."""
    values = {name: _plain_text(rows.column(name).drop_null()) for name in rows.column_names}
    return {name: each for name, each in values.items() if len(each)}


def _plain_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """delta-rs hands text over as views, of which Arrow can't tell the least."""
    return values.cast(pa.string()) if pa.types.is_string_view(values.type) else values


def read(
    spark: "SparkSession", table: LakeTable, after: int = 0, wanted: Wanted | None = None
) -> "DataFrame":
    """The rows of the batches after that one. Of those that have none of the wanted values some may be left out."""
    assert table.delta is not None  # noqa: S101 - nobody reads what is not there
    rows = _rows(spark, table, table.delta, after, wanted or {})
    conditions = list(_conditions(after, wanted or {}))
    return rows.where(reduce(and_, conditions)) if conditions else rows


def _conditions(after: int, wanted: Wanted) -> "Iterator[Column]":
    """For Spark to pass over pages that hold no such row, in columns too that the log has no statistics of."""
    from pyspark.sql.functions import col, lit

    if after:
        yield col("_batch") > after
    for name, values in wanted.items():
        ends = pc.min_max(values).as_py()
        yield col(name).between(lit(ends["min"]), lit(ends["max"]))


def _rows(
    spark: "SparkSession", table: LakeTable, delta: DeltaTable, after: int, wanted: Wanted
) -> "DataFrame":
    """Those of the files that may hold such rows."""
    from pyspark.sql.types import StructType

    files = _files(delta, after, wanted)
    if len(files) > MOST_FILES or not _says_all_by_its_files(delta):
        return spark.read.format("delta").option("versionAsOf", table.version).load(table.uri)
    schema = StructType.fromJson(json.loads(delta.schema().to_json()))
    if not files:
        return spark.createDataFrame([], schema)
    # A name is no pattern, whatever signs the folder has in its own.
    named = spark.read.schema(schema).option("basePath", table.uri).option("globPaths", "false")
    return named.parquet(*(f"{table.uri}/{file}" for file in files))


def _says_all_by_its_files(delta: DeltaTable) -> bool:
    by = delta.metadata().partition_columns
    kinds = [field.type for field in delta.schema().fields if field.name in by]
    return delta.protocol().min_reader_version == PLAIN and all(
        isinstance(kind, PrimitiveType) and kind.type in BY_NAME for kind in kinds
    )


def _files(delta: DeltaTable, after: int, wanted: Wanted) -> list[str]:
    held = files_with(pa.table(delta.get_add_actions(flatten=True)), wanted)
    if after and "max._batch" in held.column_names:
        newest = held.column("max._batch")
        held = held.filter(pc.or_kleene(pc.greater(newest, after), pc.is_null(newest)))
    # As the log writes names: those that have a sign of their own are escaped.
    return [unquote(path) for path in held.column("path").to_pylist()]
