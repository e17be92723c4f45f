"""Writing with Spark: rows merged by key, with the position of their inputs in the merge's own commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.ranges import where_keys_lie
from data_platform.lake.spark import commit_says
from data_platform.lake.tables import APP_ID, LakeTable, Note

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# The identifier of a commit that moves the position alone.
POSITION_ID = f"{APP_ID}.position"
# A first load is cut into files of so many rows, each with its own stretch of keys, so that a change of some keys
# meets some files; smaller ones would make a log that takes longer to read than they save.
FILE_ROWS = 100_000
# Up to so many rows are sent to wherever the table's rows are; more are shuffled with them.
FEW = 500_000


@dataclass(frozen=True)
class Merge:
    """How incoming rows (`s`) meet the rows that are held (`t`): the clauses after `MERGE INTO … ON key`.

    `plain` are those columns of the key whose values say nothing of a person: the commit may name some. `count` is how
    many rows come in.
    """

    key: Sequence[str]
    clauses: str
    plain: Sequence[str]
    count: int


def assigned(columns: Sequence[str]) -> str:
    """What an `update set` says to take these columns from the incoming row."""
    return ", ".join(f"t.`{name}` = s.`{name}`" for name in columns)


def listed(prefix: str, columns: Sequence[str]) -> str:
    """The columns, each with `s.` or nothing before it."""
    return ", ".join(f"{prefix}`{name}`" for name in columns)


def create(
    spark: "SparkSession",
    table: LakeTable,
    rows: "DataFrame",
    note: Note,
    stats: Sequence[str],
    partitions: Sequence[str] = (),
    *,
    order: Sequence[str],
    count: int,
) -> None:
    """The table's first commit: all of the rows, so many, those that are close in `order` in one file. Only `stats`
    columns get statistics, see `LakeTable.create`."""
    writer = (
        (rows if partitions else _in_order(rows, order, count))
        .write.format("delta")
        .mode("append")
        .option("delta.dataSkippingStatsColumns", ",".join(stats))
    )
    with commit_says(spark, APP_ID, 1, replace(note, batch=1).to_json()), _explained(table):
        writer.partitionBy(*partitions).save(table.uri)
    _confirm(table, note)


def _in_order(rows: "DataFrame", order: Sequence[str], count: int) -> "DataFrame":
    files = -(-count // FILE_ROWS)
    if files <= 1:
        return rows.coalesce(1)
    return rows.repartitionByRange(files, *order).sortWithinPartitions(*order)


def merge(spark: "SparkSession", table: LakeTable, rows: "DataFrame", how: Merge, note: Note) -> None:
    """Merge the rows by key, in one commit with the note. Files that can hold none of the keys are not read.

    No row at all moves the position and makes no new batch: whoever reads this table has nothing to look at.
    """
    view = f"incoming_{uuid4().hex}"
    incoming = rows.hint("broadcast") if how.count <= FEW else rows
    incoming.createOrReplaceTempView(view)
    if how.count:
        batch = table.batch + 1
        says = commit_says(spark, APP_ID, batch, replace(note, batch=batch).to_json())
    else:
        # Delta makes no commit of nothing, but of a transaction's identifier.
        says = commit_says(spark, POSITION_ID, table.version, replace(note, batch=table.batch).to_json())
    try:
        with says, _explained(table):
            on = _where_they_meet(spark, table, rows, how)
            spark.sql(f"merge into delta.`{table.uri}` t using {view} s on {on} {how.clauses}").collect()
    finally:
        spark.catalog.dropTempView(view)
    _confirm(table, note)


def _where_they_meet(spark: "SparkSession", table: LakeTable, rows: "DataFrame", how: Merge) -> str:
    """The condition of a merge; with it, Delta tells by statistics which files it has to read."""
    if not how.count:
        return "false"
    same = [f"t.`{name}` = s.`{name}`" for name in how.key]
    lies = where_keys_lie(spark, table, rows, how.plain) if how.count <= FEW else None
    return " and ".join([*same, lies] if lies else same)


def missing_columns(table: LakeTable, declared: Mapping[str, str]) -> dict[str, str]:
    """The declared columns, with their types, that the table was made without."""
    if table.delta is None:
        return {}
    held = {field.name for field in table.delta.schema().fields}
    return {name: kind for name, kind in declared.items() if name not in held}


def add_columns(spark: "SparkSession", table: LakeTable, columns: Mapping[str, str]) -> None:
    """Widen the table; the position is carried on."""
    if not columns or table.note is None:
        return
    listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    with commit_says(spark, APP_ID, None, table.note.to_json()), _explained(table):
        spark.sql(f"alter table delta.`{table.uri}` add columns ({listed})")


def _confirm(table: LakeTable, note: Note) -> None:
    """Delta passes over a transaction that it has seen, without a word: look whose commit it is."""
    written = table.fresh().note
    if written is None or dict(written.position) != dict(note.position):
        raise CommitLost(
            f"another run wrote to {table.uri} first; nothing of this run was committed, and running it again goes on "
            "from the table's position"
        )


class _explained:  # noqa: N801 - reads as the context that it is
    """Spark's errors as the lake's, where they are about the table and not about the question."""

    def __init__(self, table: LakeTable) -> None:
        self.table = table

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        text = str(error)
        if error is None or isinstance(error, LakeError):
            return
        if any(sign in text for sign in _LOST):
            raise CommitLost(
                f"another run wrote to {self.table.uri} while this one did; nothing of this run was committed, and "
                "running it again goes on from the table's position"
            ) from error
        for sign, step in _SIGNS.items():
            if sign in text:
                raise LakeError(f"writing to {self.table.uri} failed: {step}") from error


# What Delta says of a commit that met another's; the last two, where both made the table.
_LOST = (
    "ConcurrentAppendException",
    "ConcurrentDeleteDeleteException",
    "ConcurrentDeleteReadException",
    "ConcurrentTransactionException",
    "ConcurrentWriteException",
    "MetadataChangedException",
    "ProtocolChangedException",
)
_SIGNS: Mapping[str, str] = {
    "No space left on device": "the disk is full: free some space and run the step again",
    "Permission denied": "the folder can't be written by this user: give it the right to, or set LAKE_URI elsewhere",
    "Mkdirs failed": "the folder can't be written by this user: give it the right to, or set LAKE_URI elsewhere",
    "Read-only file system": "the file system is read-only: mount it for writing, or set LAKE_URI elsewhere",
}
