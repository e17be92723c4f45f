"""One silver step of one source table: what landed since, conformed, judged and merged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
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
from data_platform.lake.worked_out import Few, Many, WorkedOut
from data_platform.silver.conformed import conform, cursor_of, newest, spark_type

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What is told of a row while it is on its way.
MARKS = ("_passes", "_keyed", "_waits")


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
        is_small = landed <= FEW
        with made_for(spark, landed if is_small else landed + silver.rows):
            unread = newest(table, read(spark, bronze, after=done))
            judged = conform(table, unread, rescued_columns(table, bronze, done))
            rows = judged_once(spark, table, judged, quarantine, is_small and silver.exists)
            counts = _merge_judged(spark, table, _Tables(bronze, silver, quarantine), rows, landed)
    silver = silver.fresh()
    return Refined(silver.batch, silver.rows, **counts)


def judged_once(
    spark: "SparkSession", table: SourceTable, judged: DataFrame, quarantine: LakeTable, are_few: bool
) -> WorkedOut:
    """The rows, worked out once and marked: those that pass, those that have a key, and those of which an older
    version waits in quarantine; mostly there are none."""
    has_key = reduce(and_, (F.col(name).isNotNull() for name in table.silver_key))
    judged = judged.withColumns({"_passes": F.size("_reasons") == 0, "_keyed": has_key})
    if are_few:
        return _marked(Few.of(judged), table, quarantine)
    if not quarantine.rows:
        return Many.of(judged.withColumn("_waits", F.lit(False)))
    key = list(table.silver_key)
    waiting = read(spark, quarantine).select(*key).distinct().withColumn("_waits", F.lit(True))
    marked = judged.join(F.broadcast(waiting), key, "left")
    return Many.of(marked.select(*judged.columns, F.coalesce("_waits", F.lit(False)).alias("_waits")))


def _marked(judged: Few, table: SourceTable, quarantine: LakeTable) -> Few:
    numbers = pa.array(range(len(judged.rows)), pa.int64())
    waits = pa.repeat(False, len(judged.rows))
    if quarantine.rows:
        keys = judged.rows.select(list(table.silver_key))
        listed = ", ".join(f'"{name}"' for name in table.silver_key)
        waiting = quarantine.query(f"select distinct {listed} from held").cast(keys.schema)
        met = keys.append_column("_number", numbers).join(waiting, keys.column_names, join_type="left semi")
        waits = pc.is_in(numbers, met.column("_number").combine_chunks())
    return judged.with_column("_waits", waits)


def _merge_judged(
    spark: "SparkSession", table: SourceTable, held: _Tables, judged: WorkedOut, landed: int
) -> dict[str, int]:
    """Quarantine first, with a position of its own: what a killed attempt kept back is not kept back twice."""
    counts = _counts(judged)
    is_waited_for = bool(counts.pop("waiting"))
    note = Note({held.bronze.name: held.bronze.batch}, {"read": landed, **counts})
    if counts["quarantined"] or is_waited_for:
        seen = reached(held.quarantine, held.bronze)
        keep_back(spark, table, held.quarantine, judged, note, counts["keys"], seen)
    write_silver(spark, table, held.silver, judged, note, counts["merged"])
    return {"read": landed, **counts}


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


def _counts(judged: WorkedOut) -> dict[str, int]:
    counts = judged.counts(
        merged=lambda column: column("_passes"),
        deleted=lambda column: column("_passes") & column("is_deleted"),
        waiting=lambda column: column("_waits"),
    )
    keys = counts.pop("rows")
    return {"keys": keys, **counts, "quarantined": keys - counts["merged"]}


def write_silver(
    spark: "SparkSession", table: SourceTable, silver: LakeTable, judged: WorkedOut, note: Note, count: int
) -> None:
    """Merge rows that passed, so many; the newest version of a key wins, whatever the order they come in."""
    good = judged.where(lambda column: column("_passes"))
    rows = good.without("_reasons", *MARKS).of_batch(silver.batch + 1)
    columns = [name for name in rows.columns if name != "_bare"]
    if not silver.exists:
        fresh = rows.without("_bare").in_spark
        create(spark, silver, fresh, note, _stats(table), order=table.silver_order, count=count)
        return
    marks = ("is_deleted", *cursor_of(table), "_source_batch", "_landed_at", "_batch")
    newer = _newer(table)
    clauses = (update(marks, f"{newer} and s._bare"), update(columns, newer), insert(columns))
    merge(spark, silver, rows, Merge(table.silver_key, clauses, table.plain_key, count), note)


def keep_back(
    spark: "SparkSession",
    table: SourceTable,
    quarantine: LakeTable,
    judged: WorkedOut,
    note: Note,
    count: int,
    after: int = 0,
) -> None:
    """Quarantine holds the rows that broke an error rule, with why, until a newer version of them passes. `count` is
    how many rows were judged."""

    def concerned(column: Callable[[str], Any]) -> Any:
        # A row with a key is kept back once however often it is looked at; one without is known by its batch.
        return (~column("_passes") | column("_waits")) & (
            column("_keyed") | (column("_source_batch") > after)
        )

    rows = judged.where(concerned).without("_bare", *MARKS).of_batch(quarantine.batch + 1)
    if not quarantine.exists:
        stats, order = _stats(table), table.silver_order
        create(spark, quarantine, rows.in_spark, note, stats, order=order, count=count)
        return
    newer = _newer(table)
    clauses = (
        delete(f"{newer} and cardinality(s._reasons) = 0"),
        update(rows.columns, newer),
        insert(rows.columns, "cardinality(s._reasons) > 0"),
    )
    merge(spark, quarantine, rows, Merge(table.silver_key, clauses, table.plain_key, count), note)


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
