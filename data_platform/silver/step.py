"""One silver step of one source table: what landed since, conformed, judged and merged."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import SourceTable
from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.merge import Merge, create, merge, read
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.silver.conformed import conform, cursor_of, newest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

ATTEMPTS = 3


@dataclass(frozen=True)
class Refined:
    """What a step did: bronze rows read, keys that they came down to, and what became of those."""

    read: int
    keys: int
    merged: int
    quarantined: int
    deleted: int
    batch: int
    rows: int


def refine(spark: "SparkSession", table: SourceTable, lake: Lake) -> Refined:
    """Bring silver up to what bronze holds. Killed anywhere, it goes on from silver's own position when run again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _refine(spark, table, lake)
        except CommitLost as reason:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s is refined again from its position: %s", table.silver_name, reason)
    raise AssertionError("unreachable")


def _refine(spark: "SparkSession", table: SourceTable, lake: Lake) -> Refined:
    bronze = lake.bronze(table)
    if not bronze.exists:
        raise LakeError(f"{bronze.uri} does not exist yet; materialize {bronze.name} first")
    silver, quarantine = lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)
    done = reached(silver, bronze)
    if silver.exists and done >= bronze.batch:
        return Refined(0, 0, 0, 0, 0, silver.batch, silver.rows)
    judged = conform(table, newest(table, read(spark, bronze).where(F.col("_batch") > done)))
    receipt = {"read": _landed_since(bronze, done), **_counts(judged)}
    note = Note({bronze.name: bronze.batch}, receipt)
    if receipt["quarantined"] or quarantine.rows:
        keep_back(spark, table, quarantine, judged.where(F.col("_source_batch") > reached(quarantine, bronze)), note)
    write_silver(spark, table, silver, judged.where(F.size("_reasons") == 0), note)
    silver = silver.fresh()
    return Refined(**receipt, batch=silver.batch, rows=silver.rows)


def reached(table: LakeTable, source: LakeTable) -> int:
    """The batch of the source up to which the table has been brought."""
    return int((table.position or {}).get(source.name, 0))


def _landed_since(bronze: LakeTable, done: int) -> int:
    return int(bronze.query(f"select count(*) as landed from held where _batch > {done}").column("landed")[0].as_py())


def _counts(judged: DataFrame) -> dict[str, int]:
    good = F.size("_reasons") == 0
    counted = judged.agg(
        F.count("*").alias("keys"),
        F.count_if(good).alias("merged"),
        F.count_if(~good).alias("quarantined"),
        F.count_if(good & F.col("is_deleted")).alias("deleted"),
    ).collect()
    return {name: int(value) for name, value in counted[0].asDict().items()}


def write_silver(spark: "SparkSession", table: SourceTable, silver: LakeTable, good: DataFrame, note: Note) -> None:
    """Merge rows that passed; the newest version of a key wins, whatever the order they come in."""
    rows = good.drop("_row", "_reasons").withColumn("_batch", F.lit(silver.batch + 1).cast("bigint"))
    cursor = tuple(table.by_name[name].silver_name or name for name in cursor_of(table))
    if not silver.exists:
        stats = (*table.silver_key, *cursor, "_source_batch", "_batch")
        create(spark, silver, rows.drop("_bare"), note, stats)
        return
    columns = [name for name in rows.columns if name != "_bare"]
    marks = ("is_deleted", *cursor, "_source_batch", "_landed_at", "_batch")
    newer = _newer(cursor)
    clauses = f"""
        when matched and {newer} and s._bare then update set {_assigned(marks)}
        when matched and {newer} then update set {_assigned(columns)}
        when not matched then insert ({_listed("", columns)}) values ({_listed("s.", columns)})
    """
    merge(spark, silver, rows, Merge(table.silver_key, clauses), note)


def keep_back(spark: "SparkSession", table: SourceTable, quarantine: LakeTable, judged: DataFrame, note: Note) -> None:
    """Quarantine holds the rows that broke an error rule, as they landed, until a newer version of them passes."""
    rows = judged.select(
        *(F.col(f"_row.`{name}`") for name in judged.select("_row.*").columns if name != "_batch"),
        "_reasons",
        "_source_batch",
        F.lit(quarantine.batch + 1).cast("bigint").alias("_batch"),
    )
    if not quarantine.exists:
        create(spark, quarantine, rows.where(F.size("_reasons") > 0), note, (*table.key, "_source_batch", "_batch"))
        return
    newer = _newer(cursor_of(table))
    clauses = f"""
        when matched and {newer} and size(s._reasons) = 0 then delete
        when matched and {newer} then update set {_assigned(rows.columns)}
        when not matched and size(s._reasons) > 0 then insert ({_listed("", rows.columns)})
            values ({_listed("s.", rows.columns)})
    """
    merge(spark, quarantine, rows, Merge(table.key, clauses), note)


def _newer(cursor: tuple[str, ...]) -> str:
    """The incoming row `s` is not an older version than the held row `t`."""
    order = [*cursor, "_source_batch"]
    older = [
        " and ".join([*(f"s.`{equal}` = t.`{equal}`" for equal in order[:place]), f"s.`{name}` < t.`{name}`"])
        for place, name in enumerate(order)
    ]
    return f"not coalesce({' or '.join(f'({case})' for case in older)}, false)"


def _assigned(columns: Sequence[str]) -> str:
    return ", ".join(f"t.`{name}` = s.`{name}`" for name in columns)


def _listed(prefix: str, columns: Sequence[str]) -> str:
    return ", ".join(f"{prefix}`{name}`" for name in columns)
