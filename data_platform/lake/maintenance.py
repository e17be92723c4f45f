"""Keeping tables fast: small files put together, old ones removed, the log short. Each commit carries the position.

A table is tended by the writer that fills it: bronze by delta-rs, silver and its quarantine by Spark.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from data_platform.lake.errors import explained
from data_platform.lake.spark import commit_says
from data_platform.lake.tables import APP_ID, LakeTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A reader that opened the table may still read what was replaced since; a week is Delta's own caution.
KEEP_REPLACED = timedelta(days=7)


@dataclass(frozen=True)
class Tended:
    """Files before and after, and how many were deleted from storage."""

    files_before: int
    files_after: int
    deleted: int


def tend(table: LakeTable, keep_replaced: timedelta = KEEP_REPLACED) -> Tended:
    """Compact, vacuum and checkpoint a table that delta-rs writes."""
    if table.delta is None:
        return Tended(0, 0, 0)
    before = len(table.delta.file_uris())
    with explained(table.uri, "tending"):
        if before > 1:
            table.delta.optimize.compact(commit_properties=table.carrying())
        deleted = table.delta.vacuum(
            retention_hours=int(keep_replaced.total_seconds() // 3600),
            dry_run=False,
            enforce_retention_duration=False,
            commit_properties=table.carrying(),
        )
        table.delta.create_checkpoint()
    return Tended(before, len(table.fresh().delta.file_uris()), len(deleted))  # type: ignore[union-attr]


def tend_with_spark(
    spark: "SparkSession", table: LakeTable, order: tuple[str, ...], keep_replaced: timedelta = KEEP_REPLACED
) -> Tended:
    """The same for a table that Spark writes; rows close in `order` come to lie in the same files."""
    if table.delta is None or table.note is None:
        return Tended(0, 0, 0)
    before = len(table.delta.file_uris())
    with commit_says(spark, APP_ID, None, table.note.to_json()):
        if before > 1:
            by = ", ".join(f"`{name}`" for name in order)
            spark.sql(f"optimize delta.`{table.uri}` zorder by ({by})").collect()
        hours = int(keep_replaced.total_seconds() // 3600)
        spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        spark.sql(f"vacuum delta.`{table.uri}` retain {hours} hours").collect()
    after = table.fresh()
    assert after.delta is not None  # noqa: S101 - it was there before
    after.delta.create_checkpoint()
    # What vacuum itself answers is only where it was.
    ended = next(after.commits()).get("operationMetrics", {})
    return Tended(before, len(after.delta.file_uris()), int(ended.get("numDeletedFiles", 0)))
