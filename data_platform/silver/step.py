"""One silver step of one source table: what landed since, conformed, judged and merged."""

import logging
from collections.abc import Callable, Sequence
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

    @property
    def says(self) -> str:
        return (
            f"{self.read:,} rows read, {self.keys:,} keys: {self.merged:,} merged ({self.deleted:,} deleted), "
            f"{self.quarantined:,} quarantined"
        )


def refine(spark: Callable[[], "SparkSession"], table: SourceTable, lake: Lake) -> Refined:
    """Bring silver up to what bronze holds. Killed anywhere, it goes on from silver's own position when run again.

    Spark is asked for only when there is something to do.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _refine(spark, table, lake)
        except CommitLost as reason:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s is refined again from its position: %s", table.silver_name, reason)
    raise AssertionError("unreachable")


def _refine(start: Callable[[], "SparkSession"], table: SourceTable, lake: Lake) -> Refined:
    bronze = lake.bronze(table)
    if not bronze.exists:
        raise LakeError(f"{bronze.uri} does not exist yet; materialize {bronze.name} first")
    silver, quarantine = lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)
    done = reached(silver, bronze)
    if silver.exists and done >= bronze.batch:
        return Refined(0, 0, 0, 0, 0, silver.batch, silver.rows)
    spark = start()
    unread = newest(table, read(spark, bronze).where(F.col("_batch") > done))
    judged = conform(table, unread, rescued_columns(table, bronze, done)).persist()
    try:
        receipt = {"read": _landed_since(bronze, done), **_counts(judged)}
        note = Note({bronze.name: bronze.batch}, receipt)
        if receipt["quarantined"] or quarantine.rows:
            unseen = judged.where(F.col("_source_batch") > reached(quarantine, bronze))
            keep_back(spark, table, quarantine, unseen, note)
        write_silver(spark, table, silver, judged.where(F.size("_reasons") == 0), note)
    finally:
        judged.unpersist()
    silver = silver.fresh()
    return Refined(**receipt, batch=silver.batch, rows=silver.rows)


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
    ).collect()
    return {name: int(value) for name, value in counted[0].asDict().items()}


def write_silver(
    spark: "SparkSession", table: SourceTable, silver: LakeTable, good: DataFrame, note: Note
) -> None:
    """Merge rows that passed; the newest version of a key wins, whatever the order they come in."""
    rows = _stamped(good.drop("_reasons"), silver)
    if not silver.exists:
        create(spark, silver, rows.drop("_bare"), note, _stats(table))
        return
    columns = [name for name in rows.columns if name != "_bare"]
    marks = ("is_deleted", *cursor_of(table), "_source_batch", "_landed_at", "_batch")
    newer = _newer(table)
    clauses = f"""
        when matched and {newer} and s._bare then update set {_assigned(marks)}
        when matched and {newer} then update set {_assigned(columns)}
        when not matched then insert ({_listed("", columns)}) values ({_listed("s.", columns)})
    """
    merge(spark, silver, rows, Merge(table.silver_key, clauses), note)


def keep_back(
    spark: "SparkSession", table: SourceTable, quarantine: LakeTable, judged: DataFrame, note: Note
) -> None:
    """Quarantine holds the rows that broke an error rule, with why, until a newer version of them passes."""
    rows = _stamped(judged.drop("_bare"), quarantine)
    if not quarantine.exists:
        create(spark, quarantine, rows.where(F.size("_reasons") > 0), note, _stats(table))
        return
    newer = _newer(table)
    clauses = f"""
        when matched and {newer} and size(s._reasons) = 0 then delete
        when matched and {newer} then update set {_assigned(rows.columns)}
        when not matched and size(s._reasons) > 0 then insert ({_listed("", rows.columns)})
            values ({_listed("s.", rows.columns)})
    """
    merge(spark, quarantine, rows, Merge(table.silver_key, clauses), note)


def _stamped(rows: DataFrame, table: LakeTable) -> DataFrame:
    return rows.withColumn("_batch", F.lit(table.batch + 1).cast("bigint"))


def _stats(table: SourceTable) -> tuple[str, ...]:
    return (*table.silver_key, *cursor_of(table), "_source_batch", "_batch")


def _newer(table: SourceTable) -> str:
    """The incoming row `s` is not an older version than the held row `t`."""
    order = [*cursor_of(table), "_source_batch"]
    older = [
        " and ".join([*(f"s.`{equal}` = t.`{equal}`" for equal in order[:place]), f"s.`{name}` < t.`{name}`"])
        for place, name in enumerate(order)
    ]
    return f"not coalesce({' or '.join(f'({case})' for case in older)}, false)"


def _assigned(columns: Sequence[str]) -> str:
    return ", ".join(f"t.`{name}` = s.`{name}`" for name in columns)


def _listed(prefix: str, columns: Sequence[str]) -> str:
    return ", ".join(f"{prefix}`{name}`" for name in columns)
