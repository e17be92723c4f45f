"""Silver tables made of several others: what such a table is, and the step that brings one up to its inputs.

A step takes the keys that a change on any side touches, makes their rows anew from all inputs, and merges these;
keys that no longer come out are marked deleted. The position is the batch of each input, in the merge's commit.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import Column, Rule, SourceTable
from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.merge import Merge, assigned, create, listed, merge, read
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.silver.conformed import spark_type
from data_platform.silver.step import ATTEMPTS, Refined, reached

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

# Each input by its silver name.
Inputs = Mapping[str, DataFrame]


@dataclass(frozen=True)
class Joined:
    """A silver table with a row per `key`, made of other silver tables.

    `made` gives its rows from the inputs' live rows. `touched` gives the keys that may come out differently: from the
    rows of each input that changed (deleted ones too, none where it did not), and from the live rows of the inputs and
    of the table itself as it stands.

    `belonging` says of an input which of the key's columns it has, under the same names: rows of it that belong to no
    touched key are not looked at. `rules` are counted by checks over the live rows; they keep none out.
    """

    name: str
    description: str
    owner: str
    key: tuple[str, ...]
    inputs: tuple[SourceTable, ...]
    columns: tuple[Column, ...]
    made: Callable[[Inputs], DataFrame]
    touched: Callable[[Inputs, Inputs], DataFrame]
    belonging: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partitioned_by: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def types(self) -> dict[str, str]:
        return {column.name: spark_type(column.type) for column in self.columns}


def join(spark: "Callable[[], SparkSession]", table: Joined, lake: Lake) -> Refined:
    """Bring the table up to its inputs. Killed anywhere, it goes on from its own position when run again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _join(spark, table, lake)
        except CommitLost as reason:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s is made again from its position: %s", table.name, reason)
    raise AssertionError("unreachable")


def _join(start: "Callable[[], SparkSession]", table: Joined, lake: Lake) -> Refined:
    silver = lake.silver(table.name)
    held = {source.silver_name: lake.silver(source.silver_name) for source in table.inputs}
    changed = [name for name, each in held.items() if each.batch > reached(silver, each)]
    if not changed:
        if not silver.exists:
            raise LakeError(
                f"silver/{table.name} has nothing to be made of yet; materialize one of its inputs first: "
                + ", ".join(f"silver/{name}" for name in held)
            )
        return Refined(silver.batch, silver.rows)
    spark = start()
    whole = {source.silver_name: _read(spark, source, held[source.silver_name]) for source in table.inputs}
    live = {name: rows.where(~F.col("is_deleted")) for name, rows in whole.items()}
    position = {each.name: each.batch for each in held.values()}
    if not silver.exists:
        return _first(spark, table, silver, live, position)
    since = {name: rows.where(F.col("_batch") > reached(silver, held[name])) for name, rows in whole.items()}
    standing = {table.name: read(spark, silver).where(~F.col("is_deleted"))}
    keys = table.touched(since, live | standing).select(*table.key).distinct().localCheckpoint()
    concerned = {name: _concerned(rows, keys, table.belonging.get(name)) for name, rows in live.items()}
    fresh = _shaped(table, table.made(concerned).join(F.broadcast(keys), list(table.key), "left_semi"))
    gone = keys.join(fresh, list(table.key), "left_anti")
    rows = (
        fresh.withColumn("is_deleted", F.lit(False))
        .unionByName(gone.withColumn("is_deleted", F.lit(True)), allowMissingColumns=True)
        .withColumn("_batch", F.lit(silver.batch + 1).cast("bigint"))
        .localCheckpoint()
    )
    counts = _counts(rows)
    merge(spark, silver, rows, Merge(table.key, _clauses(table)), Note(position, counts))
    return _refined(silver, counts)


def _concerned(rows: DataFrame, keys: DataFrame, belonging: tuple[str, ...] | None) -> DataFrame:
    """The rows of an input from which touched keys are made; all, where nothing is said of it."""
    if not belonging:
        return rows
    return rows.join(F.broadcast(keys.select(*belonging).distinct()), list(belonging), "left_semi")


def _first(
    spark: "SparkSession", table: Joined, silver: LakeTable, live: Inputs, position: Mapping[str, int]
) -> Refined:
    rows = (
        _shaped(table, table.made(live))
        .withColumn("is_deleted", F.lit(False))
        .withColumn("_batch", F.lit(1).cast("bigint"))
        .localCheckpoint()
    )
    counts = _counts(rows)
    create(spark, silver, rows, Note(position, counts), (*table.key, "_batch"), table.partitioned_by)
    return _refined(silver, counts)


def _read(spark: "SparkSession", source: SourceTable, table: LakeTable) -> DataFrame:
    """The input as it stands; without rows where it was never loaded, so that one source waits for no other."""
    if table.exists:
        return read(spark, table)
    declared = [
        f"`{column.silver_name}` {spark_type(column.type)}" for column in source.columns if column.silver_name
    ]
    said = ["is_deleted boolean", "_landed_at timestamp", "_batch bigint"]
    return spark.createDataFrame([], ", ".join([*declared, *said]))


def _shaped(table: Joined, rows: DataFrame) -> DataFrame:
    """The rows in exactly the declared columns and types."""
    columns = [F.col(name).cast(kind).alias(name) for name, kind in table.types.items()]
    return rows.select(*columns, "_landed_at")


def _counts(rows: DataFrame) -> dict[str, int]:
    counted = rows.agg(
        F.count("*").alias("keys"), F.count_if(F.col("is_deleted")).alias("deleted")
    ).collect()[0]
    return {"keys": int(counted["keys"]), "deleted": int(counted["deleted"])}


def _clauses(table: Joined) -> str:
    """A key that no longer comes out keeps what it was last, marked; one that was never there is passed over."""
    columns = [*table.types, "_landed_at", "is_deleted", "_batch"]
    return f"""
        when matched and s.is_deleted and not t.is_deleted then
            update set t.is_deleted = true, t._batch = s._batch
        when matched and not s.is_deleted then update set {assigned(columns)}
        when not matched and not s.is_deleted then insert ({listed("", columns)})
            values ({listed("s.", columns)})
    """


def _refined(silver: LakeTable, counts: Mapping[str, int]) -> Refined:
    made = silver.fresh()
    return Refined(
        made.batch,
        made.rows,
        keys=counts["keys"],
        merged=counts["keys"] - counts["deleted"],
        deleted=counts["deleted"],
    )
