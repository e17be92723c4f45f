"""One silver step of one source table: what landed since, conformed, judged and merged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import SourceTable
from data_platform.lake.again import begun_again
from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.merge import (
    FEW,
    Merge,
    create,
    delete,
    insert,
    merge,
    missing_columns,
    update,
    widened,
)
from data_platform.lake.reading import read
from data_platform.lake.spark import made_for
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.silver.conformed import conform, cursor_of, newest, spark_type

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Refined:
    """What a step did: bronze rows read, keys that they came down to, and what became of those."""

    batch: int
    rows: int
    read: int = 0
    keys: int = 0
    merged: int = 0
    quarantined: int = 0
    deleted: int = 0

    @property
    def says(self) -> str:
        return (
            f"{self.read:,} rows read, {self.keys:,} keys: {self.merged:,} merged ({self.deleted:,} deleted), "
            f"{self.quarantined:,} quarantined"
        )

    @property
    def metadata(self) -> dict[str, int]:
        """What Dagster keeps of it."""
        return {
            "dagster/row_count": self.rows,
            "read": self.read,
            "keys": self.keys,
            "merged": self.merged,
            "quarantined": self.quarantined,
            "deleted": self.deleted,
            "batch": self.batch,
        }


def refine(spark: Callable[[], "SparkSession"], table: SourceTable, lake: Lake) -> Refined:
    """Bring silver up to what bronze holds. Killed anywhere, it goes on from silver's own position when run again.

    Spark is asked for only when there is something to do.
    """
    return begun_again(lambda: _refine(spark, table, lake), (CommitLost,), f"silver/{table.silver_name}")


@dataclass(frozen=True)
class _Tables:
    """The tables of one step, each as it stood when the step began: the end of the read is fixed with them."""

    bronze: LakeTable
    silver: LakeTable
    quarantine: LakeTable


def _refine(start: Callable[[], "SparkSession"], table: SourceTable, lake: Lake) -> Refined:
    bronze, silver = lake.bronze(table), lake.silver(table.silver_name)
    quarantine = lake.silver_quarantine(table.silver_name)
    if not bronze.exists:
        raise LakeError(f"{bronze.uri} does not exist yet; materialize {bronze.name} first")
    done = reached(silver, bronze)
    if done > bronze.batch:
        raise LakeError(
            f"{silver.uri} was brought up to batch {done} of {bronze.name}, which has only {bronze.batch}: it was made "
            f"anew since. To refine all of it, move {silver.uri} and {quarantine.uri} away"
        )
    gained = missing_columns(silver, silver_columns(table))
    if silver.exists and done >= bronze.batch and not gained:
        return Refined(silver.batch, silver.rows)
    spark = start()
    silver, quarantine = (
        widened(spark, each, missing_columns(each, silver_columns(table))) for each in (silver, quarantine)
    )
    counts: dict[str, int] = {}
    if not silver.exists or done < bronze.batch:
        landed = _landed_since(bronze, done)
        # Few rows are merged without Spark, which then has these alone to go through.
        with made_for(spark, landed if landed <= FEW else landed + silver.rows):
            unread = newest(table, read(spark, bronze, after=done))
            judged = conform(table, unread, rescued_columns(table, bronze, done))
            counts = _merge_judged(spark, table, _Tables(bronze, silver, quarantine), judged, landed)
    silver = silver.fresh()
    return Refined(silver.batch, silver.rows, **counts)


def _merge_judged(
    spark: "SparkSession", table: SourceTable, held: _Tables, judged: DataFrame, landed: int
) -> dict[str, int]:
    """Quarantine first, with a position of its own: what a killed attempt kept back is not kept back twice."""
    # Worked out once; Delta takes what is kept like this as it is, where it would copy a cached source again.
    judged = _marked_waiting(spark, table, held.quarantine, judged).localCheckpoint()
    counts = _counts(judged)
    is_waited_for = bool(counts.pop("waiting"))
    note = Note({held.bronze.name: held.bronze.batch}, {"read": landed, **counts})
    if counts["quarantined"] or is_waited_for:
        # A row with a key is kept back once however often it is looked at; one without is known by its batch.
        keyed = reduce(and_, (F.col(name).isNotNull() for name in table.silver_key))
        unseen = F.col("_source_batch") > reached(held.quarantine, held.bronze)
        keep_back(spark, table, held.quarantine, judged.where(keyed | unseen), note, counts["keys"])
    write_silver(spark, table, held.silver, judged.where(F.size("_reasons") == 0), note, counts["merged"])
    return {"read": landed, **counts}


def _marked_waiting(
    spark: "SparkSession", table: SourceTable, quarantine: LakeTable, judged: DataFrame
) -> DataFrame:
    """Rows of which an older version waits in quarantine are marked `_waits`; mostly there are none."""
    if not quarantine.rows:
        return judged.withColumn("_waits", F.lit(False))
    key = list(table.silver_key)
    waiting = read(spark, quarantine).select(*key).distinct().withColumn("_waits", F.lit(True))
    marked = judged.join(F.broadcast(waiting), key, "left")
    return marked.select(*judged.columns, F.coalesce("_waits", F.lit(False)).alias("_waits"))


def silver_columns(table: SourceTable) -> dict[str, str]:
    """The columns that silver has of what is declared, with their Spark types."""
    return {column.silver_name: spark_type(column.type) for column in table.columns if column.silver_name}


def reached(table: LakeTable, source: LakeTable) -> int:
    """The batch of the source up to which the table has been brought."""
    return int((table.position or {}).get(source.name, 0))


def _landed_since(bronze: LakeTable, done: int) -> int:
    return int(
        bronze.query(f"select count(*) as landed from held where _batch > {done}").column("landed")[0].as_py()
    )


def rescued_columns(table: SourceTable, bronze: LakeTable, done: int) -> frozenset[str]:
    """The declared columns of which a value waits in `_rescued`, among the rows not yet refined."""
    names = [column.name for column in table.columns if column.type.kind not in ("list", "struct")]
    mentions = ", ".join(
        f"""coalesce(bool_or(_rescued like '%"{name}":%'), false) as "{name}\"""" for name in names
    )
    found = bronze.query(
        f"select {mentions} from held where _batch > {done} and _rescued is not null"
    ).to_pylist()[0]
    return frozenset(name for name in names if found[name])


def _counts(judged: DataFrame) -> dict[str, int]:
    good = F.size("_reasons") == 0
    counted = judged.agg(
        F.count("*").alias("keys"),
        F.count_if(good).alias("merged"),
        F.count_if(~good).alias("quarantined"),
        F.count_if(good & F.col("is_deleted")).alias("deleted"),
        F.count_if(F.col("_waits")).alias("waiting"),
    ).collect()
    return {name: int(value) for name, value in counted[0].asDict().items()}


def write_silver(
    spark: "SparkSession", table: SourceTable, silver: LakeTable, good: DataFrame, note: Note, count: int
) -> None:
    """Merge rows that passed, so many; the newest version of a key wins, whatever the order they come in."""
    rows = _stamped(good.drop("_reasons", "_waits"), silver)
    if not silver.exists:
        create(spark, silver, rows.drop("_bare"), note, _stats(table), order=table.silver_order, count=count)
        return
    columns = [name for name in rows.columns if name != "_bare"]
    marks = ("is_deleted", *cursor_of(table), "_source_batch", "_landed_at", "_batch")
    newer = _newer(table)
    clauses = (update(marks, f"{newer} and s._bare"), update(columns, newer), insert(columns))
    merge(spark, silver, rows, Merge(table.silver_key, clauses, table.plain_key, count), note)


def keep_back(
    spark: "SparkSession",
    table: SourceTable,
    quarantine: LakeTable,
    judged: DataFrame,
    note: Note,
    count: int,
) -> None:
    """Quarantine holds the rows that broke an error rule, with why, until a newer version of them passes. `count` is
    how many rows were judged."""
    concerned = judged.where((F.size("_reasons") > 0) | F.col("_waits"))
    rows = _stamped(concerned.drop("_bare", "_waits"), quarantine)
    if not quarantine.exists:
        create(spark, quarantine, rows, note, _stats(table), order=table.silver_order, count=count)
        return
    newer = _newer(table)
    clauses = (
        delete(f"{newer} and cardinality(s._reasons) = 0"),
        update(rows.columns, newer),
        insert(rows.columns, "cardinality(s._reasons) > 0"),
    )
    merge(spark, quarantine, rows, Merge(table.silver_key, clauses, table.plain_key, count), note)


def _stamped(rows: DataFrame, table: LakeTable) -> DataFrame:
    return rows.withColumn("_batch", F.lit(table.batch + 1).cast("bigint"))


def _stats(table: SourceTable) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys((*table.silver_key, *table.silver_order, *cursor_of(table), "_source_batch", "_batch"))
    )


def _newer(table: SourceTable) -> str:
    """The incoming row `s` is not an older version than the held row `t`."""
    order = [*cursor_of(table), "_source_batch"]
    older = [
        " and ".join([*(f"s.`{equal}` = t.`{equal}`" for equal in order[:place]), f"s.`{name}` < t.`{name}`"])
        for place, name in enumerate(order)
    ]
    return f"not coalesce({' or '.join(f'({case})' for case in older)}, false)"
