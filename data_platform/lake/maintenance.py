"""Keeping tables fast: small files put together, old ones removed, the log short. Each commit carries the position.

Bronze is tended by delta-rs; silver and its quarantine, of which the order of the rows matters more, by Spark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from data_platform.lake.compaction import Live, live_files, rewrite
from data_platform.lake.errors import explained
from data_platform.lake.ordering import is_ordered, reorder
from data_platform.lake.schema import LANDED_ON
from data_platform.lake.spark import commit_says, told
from data_platform.lake.tables import APP_ID, LakeTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A reader that opened the table may still read what was replaced since; a week is Delta's own caution.
KEEP_REPLACED = timedelta(days=7)
# As large as delta-rs and Athena like them.
JOINED_BYTES = 100 * 1024 * 1024
# Silver is changed by key: a file is rewritten whole for one row of it, so there are more of them.
SILVER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Tended:
    """Files before and after, and how many were deleted from storage."""

    files_before: int
    files_after: int
    deleted: int


def tend(table: LakeTable, order: Sequence[str] = (), keep_replaced: timedelta = KEEP_REPLACED) -> Tended:
    """Put a table's files in order and sweep, where delta-rs writes it.

    Each day of a table that is partitioned by days is ordered once, when it is over, so that this costs what came
    since the last time. Of others the small files are put together.
    """
    if table.delta is None:
        return Tended(0, 0, 0)
    before = len(table.delta.file_uris())
    for files in _by_partition(table):
        if not order or not files[0].partition:
            for few in _to_join(files):
                rewrite(table.fresh(), few)
        elif not is_ordered(files) and files[0].partition[LANDED_ON] < datetime.now(UTC).date().isoformat():
            reorder(table.fresh(), files, order)
    swept = sweep(table.fresh(), keep_replaced)
    return Tended(before, swept.files_after, swept.deleted)


def sweep(held: LakeTable, keep_replaced: timedelta = KEEP_REPLACED) -> Tended:
    """Vacuum, checkpoint and shorten the log, leaving the files as they are.

    Files that no commit names go with the replaced ones: a killed load leaves them.
    """
    if held.delta is None:
        return Tended(0, 0, 0)
    before = len(held.delta.file_uris())
    with explained(held.uri, "tending"):
        deleted = held.delta.vacuum(
            retention_hours=int(keep_replaced.total_seconds() // 3600),
            dry_run=False,
            enforce_retention_duration=False,
            commit_properties=held.carrying(),
            full=True,
        )
        held = held.fresh()
        held.carry_on()
        assert held.delta is not None  # noqa: S101 - it was there before
        held.delta.create_checkpoint()
        held.delta.cleanup_metadata()
    return Tended(before, len(held.fresh().delta.file_uris()), len(deleted))  # type: ignore[union-attr]


def _by_partition(table: LakeTable) -> list[list[Live]]:
    found: dict[tuple[str, ...], list[Live]] = {}
    for file in live_files(table):
        found.setdefault(tuple(file.partition.values()), []).append(file)
    return [files for _, files in sorted(found.items())]


def _to_join(files: Sequence[Live]) -> Iterator[list[Live]]:
    """Neighbours that make up a file of the wanted size; what is large enough stays alone."""
    together: list[Live] = []
    for file in files:
        if together and sum(each.size for each in (*together, file)) > JOINED_BYTES:
            if len(together) > 1:
                yield together
            together = []
        together.append(file)
    if len(together) > 1:
        yield together


def tend_with_spark(
    spark: "SparkSession", table: LakeTable, order: tuple[str, ...], keep_replaced: timedelta = KEEP_REPLACED
) -> Tended:
    """The same for a table that Spark writes; rows close in `order` come to lie in the same files."""
    if table.delta is None or table.note is None:
        return Tended(0, 0, 0)
    before = len(table.delta.file_uris())
    size = told(spark, {"spark.databricks.delta.optimize.maxFileSize": str(SILVER_BYTES)})
    with size, commit_says(spark, APP_ID, None, table.note.to_json()):
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
