"""Writing what Spark made: rows merged by key, with the position of their inputs in the merge's own commit.

A change of few rows is fetched from Spark and merged by delta-rs, which takes a tenth of the time that Delta's MERGE
takes in Spark; of many rows, Spark merges them where they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from data_platform.lake.errors import CommitLost, LakeError, explained
from data_platform.lake.files import STATISTICS, hardly_repeating
from data_platform.lake.ranges import where_keys_lie
from data_platform.lake.spark import commit_says
from data_platform.lake.tables import APP_ID, LakeTable, Note
from data_platform.lake.worked_out import WorkedOut

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# A first load is cut into files of so many rows, each with its own stretch of keys, so that a change of some keys
# meets some files; smaller ones would make a log that takes longer to read than they save.
FILE_ROWS = 100_000
# So many rows are fetched and merged in the step's own process; more of them might not find room there.
FEW = 200_000


@dataclass(frozen=True)
class Clause:
    """What becomes of an incoming row `s` that meets a held row `t`, or none, under a condition.

    `columns` are those that are taken from it; without any, the held row is deleted. Conditions are in words of SQL
    that Spark and delta-rs both know.
    """

    matched: bool
    columns: tuple[str, ...]
    when: str = ""


def update(columns: Sequence[str], when: str = "") -> Clause:
    return Clause(True, tuple(columns), when)


def insert(columns: Sequence[str], when: str = "") -> Clause:
    return Clause(False, tuple(columns), when)


def delete(when: str) -> Clause:
    return Clause(True, (), when)


@dataclass(frozen=True)
class Merge:
    """How incoming rows meet those that are held: by which key, and what becomes of them.

    `plain` are those columns of the key whose values say nothing of a person: the commit may name some. `count` is how
    many rows come in.
    """

    key: Sequence[str]
    clauses: Sequence[Clause]
    plain: Sequence[str]
    count: int

    @property
    def same_key(self) -> str:
        return " and ".join(f"t.`{name}` = s.`{name}`" for name in self.key)


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
        .option(STATISTICS, ",".join(stats))
    )
    with commit_says(spark, APP_ID, 1, replace(note, batch=1).to_json()), _explained(table):
        writer.partitionBy(*partitions).save(table.uri)
    _confirm(table, note)


def _in_order(rows: "DataFrame", order: Sequence[str], count: int) -> "DataFrame":
    files = -(-count // FILE_ROWS)
    if files <= 1:
        return rows.coalesce(1)
    return rows.repartitionByRange(files, *order).sortWithinPartitions(*order)


def merge(spark: "SparkSession", table: LakeTable, rows: WorkedOut, how: Merge, note: Note) -> None:
    """Merge the rows by key, in one commit with the note. Files that can hold none of the keys are not read.

    No row at all moves the position and makes no new batch: whoever reads this table has nothing to look at.
    """
    if how.count > FEW:
        _merge_there(spark, table, rows.in_spark, how, note)
    else:
        _merge_here(table, rows, how, note)


def _merge_here(table: LakeTable, rows: WorkedOut, how: Merge, note: Note) -> None:
    """By delta-rs. It commits on top of the version that the step has read, or not at all."""
    if table.delta is None:
        raise AssertionError("unreachable")
    if not how.count:
        with explained(table.uri, "moving the position of"):
            table.delta.create_write_transaction(
                [], "append", table.delta.schema(), commit_properties=table.carrying(note, retries=0)
            )
        return
    fetched = rows.fetched().sort_by([(name, "ascending") for name in how.key])
    lies = where_keys_lie(table, fetched, how.plain)
    with explained(table.uri, "merging into"):
        merging = table.delta.merge(
            fetched,
            f"{how.same_key} and {lies}" if lies else how.same_key,
            source_alias="s",
            target_alias="t",
            # Else the commit would name the lowest and the highest key, a person's too.
            streamed_exec=True,
            writer_properties=_written_like(fetched),
            commit_properties=table.carrying(note, table.batch + 1, retries=0),
        )
        for clause in how.clauses:
            taken = {f"`{name}`": f"s.`{name}`" for name in clause.columns}
            if not taken:
                merging = merging.when_matched_delete(clause.when or None)
            elif clause.matched:
                merging = merging.when_matched_update(taken, clause.when or None)
            else:
                merging = merging.when_not_matched_insert(taken, clause.when or None)
        merging.execute()


def _written_like(rows: pa.Table) -> WriterProperties:
    """As Spark writes a table of such rows, which gives up a dictionary that is not worth its room."""
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        compression="SNAPPY", column_properties=dict.fromkeys(sorted(hardly_repeating(rows)), plain)
    )


def _merge_there(spark: "SparkSession", table: LakeTable, rows: "DataFrame", how: Merge, note: Note) -> None:
    """By Spark, which shuffles the rows with the table's."""
    view = f"incoming_{uuid4().hex}"
    rows.createOrReplaceTempView(view)
    batch = table.batch + 1
    says = commit_says(spark, APP_ID, batch, replace(note, batch=batch).to_json())
    clauses = " ".join(map(_said_to_spark, how.clauses))
    try:
        with says, _explained(table):
            spark.sql(
                f"merge into delta.`{table.uri}` t using {view} s on {how.same_key} {clauses}"
            ).collect()
    finally:
        spark.catalog.dropTempView(view)
    _confirm(table, note)


def _said_to_spark(clause: Clause) -> str:
    met = f"when {'matched' if clause.matched else 'not matched'}{f' and {clause.when}' if clause.when else ''} then"
    if not clause.columns:
        return f"{met} delete"
    if clause.matched:
        return f"{met} update set {', '.join(f't.`{name}` = s.`{name}`' for name in clause.columns)}"
    columns = ", ".join(f"`{name}`" for name in clause.columns)
    taken = ", ".join(f"s.`{name}`" for name in clause.columns)
    return f"{met} insert ({columns}) values ({taken})"


def missing_columns(table: LakeTable, declared: Mapping[str, str]) -> dict[str, str]:
    """The declared columns, with their types, that the table was made without."""
    if table.delta is None:
        return {}
    held = {field.name for field in table.delta.schema().fields}
    return {name: kind for name, kind in declared.items() if name not in held}


def widened(spark: "SparkSession", table: LakeTable, columns: Mapping[str, str]) -> LakeTable:
    """The table with these columns too; the position is carried on."""
    if not columns or table.note is None:
        return table
    listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    with commit_says(spark, APP_ID, None, table.note.to_json()), _explained(table):
        spark.sql(f"alter table delta.`{table.uri}` add columns ({listed})")
    return table.fresh()


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
