"""Putting small files together: rows are copied into new files, and one commit names those in place of the old.

No rows change and the position is carried on. What was to be replaced has to be there still when the commit is made,
and nothing else may be committed in between: delta-rs looks for neither when it optimises a table, and two of those
at once put every row in twice.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction

from data_platform.lake.errors import CommitLost, explained
from data_platform.lake.files import ROW_GROUP_ROWS, DataFile, Folder
from data_platform.lake.tables import LakeTable

log = logging.getLogger(__name__)

# So many files of like size are put together. Few to read, and a row is copied once for each power of it that lands.
AT_FILES = 8
# Larger ones are left as they are by the process that appends, which has other things to do.
SMALL_BYTES = 64 * 1024 * 1024
# A table that others commit to every second is met between two of their commits.
COMMIT_ATTEMPTS = 20


@dataclass(frozen=True)
class Live:
    """A file that the table's newest version names."""

    path: str
    size: int
    rows: int
    partition: Mapping[str, str]
    first_batch: int


@dataclass(frozen=True)
class Compacted:
    """Files of the table before and after, and the rows that were copied."""

    files_before: int
    files_after: int
    rows: int = 0


def compact_small(table: LakeTable, at_files: int = AT_FILES) -> Compacted:
    """Put the newest partition's small files together where `at_files` of like size (in rows) have gathered.

    For the process that appends, between its commits or in a thread beside them: with nothing to do it looks at what
    `table` (its appender's) knows already. Each time a row is copied its file becomes at least `at_files` times as
    large, so it is copied a logarithmic number of times; of each size there are about as many files as that. One call
    puts one size together. Where others commit meanwhile and it finds no gap, the files stay for the next call.
    """
    files = live_files(table)
    if not _gathered(files, at_files):
        return Compacted(len(files), len(files))
    held = table.fresh()
    files = live_files(held)
    gathered = _gathered(files, at_files)
    if not gathered:
        return Compacted(len(files), len(files))
    try:
        rewrite(held, gathered)
    except CommitLost as reason:
        log.info("the small files of %s stay as they are: %s", table.name, reason)
        return Compacted(len(files), len(files))
    return Compacted(len(files), len(files) - len(gathered) + 1, sum(file.rows for file in gathered))


def live_files(table: LakeTable) -> list[Live]:
    """In the order in which their rows landed."""
    if table.delta is None:
        return []
    by = table.delta.metadata().partition_columns
    added = pa.table(table.delta.get_add_actions(flatten=True)).to_pylist()
    return sorted((_live(file, by) for file in added), key=lambda file: (file.first_batch, file.path))


def _live(file: Mapping[str, Any], partitioned_by: Sequence[str]) -> Live:
    return Live(
        path=file["path"],
        size=file["size_bytes"],
        rows=file.get("num_records") or 0,
        partition={name: _text(file[f"partition.{name}"]) for name in partitioned_by},
        first_batch=file.get("min._batch") or 0,
    )


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _gathered(files: Sequence[Live], at_files: int) -> list[Live]:
    """The newest partition's small files of one size, from the smallest size on; empty where too few have gathered."""
    if len(files) < at_files:
        return []
    newest = max(tuple(file.partition.values()) for file in files)
    sizes: dict[int, list[Live]] = {}
    for file in files:
        if tuple(file.partition.values()) == newest and file.size < SMALL_BYTES:
            sizes.setdefault(_size(file.rows, at_files), []).append(file)
    gathered = next((alike for _, alike in sorted(sizes.items()) if len(alike) >= at_files), [])
    return list(_up_to(gathered, at_files * SMALL_BYTES))


def _up_to(files: Sequence[Live], size: int) -> Iterator[Live]:
    """The first of them; a load of many commits may have left more than should be copied at once."""
    for file in files:
        size -= file.size
        if size < 0:
            return
        yield file


def _size(rows: int, base: int) -> int:
    """The power of `base` that it is."""
    power = 0
    while rows >= base:
        rows //= base
        power += 1
    return power


def rewrite(table: LakeTable, files: Sequence[Live]) -> None:
    """The rows of these files of one partition, in their order, in one file."""
    folder = folder_of(table)
    replace(table, folder, files, [rows_of(folder, files)], f"part-{files[-1].first_batch:08d}")


def folder_of(table: LakeTable) -> Folder:
    assert table.delta is not None  # noqa: S101 - files of it were listed
    return Folder.of(table.delta, table.uri, table.storage_options)


def replace(
    table: LakeTable, folder: Folder, old: Sequence[Live], new: Iterable[Iterable[pa.Table]], name: str
) -> None:
    """Files of these rows, each in groups, in place of the old ones."""
    written: list[DataFile] = []
    with folder.unless_named(written, table), explained(table.uri, "compacting"):
        for groups in new:
            folder.write(written, name, old[0].partition, groups)
        _commit(table, folder, old, written)


def rows_of(
    folder: Folder, files: Sequence[Live], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows (or some of their columns) in whole row groups, however small the files are that they come from."""
    schema = pa.schema([folder.schema.field(name) for name in columns or folder.schema.names])
    waiting: list[pa.Table] = []
    for file in files:
        with folder.filesystem.open_input_file(file.path) as source:
            parquet = pq.ParquetFile(source)
            held = [name for name in schema.names if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(ROW_GROUP_ROWS, columns=held, use_threads=False):
                waiting.append(_widened(batch, schema))
                if sum(rows.num_rows for rows in waiting) >= ROW_GROUP_ROWS:
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _widened(rows: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Columns that the table gained since are null."""
    columns = [
        rows.column(column.name).cast(column.type)
        if column.name in rows.schema.names
        else pa.nulls(rows.num_rows, column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _commit(table: LakeTable, folder: Folder, old: Sequence[Live], new: Sequence[DataFile]) -> None:
    """Name the new files in place of the old, in one commit on top of a version that has all of the old."""
    added = [folder.added(file, is_new_data=False) for file in new]
    held = table
    for _ in range(COMMIT_ATTEMPTS):
        if gone := {file.path for file in old} - held.files:
            raise CommitLost(
                f"another run replaced {len(gone)} files of {table.uri} while this one put them together; its files "
                "stand, and nothing of this run was committed"
            )
        assert held.delta is not None  # noqa: S101 - it has files
        now = int(time.time() * 1000)
        try:
            held.delta.create_write_transaction(
                [
                    *added,
                    *(RemoveAction(each.path, False, now, each.size, dict(each.partition)) for each in old),
                ],
                mode="append",
                schema=held.delta.schema(),
                partition_by=list(folder.partitioned_by),
                # On top of this version or not at all.
                commit_properties=held.carrying(retries=0),
            )
        except CommitFailedError:
            held = table.fresh()
        else:
            return
    raise CommitLost(
        f"{table.uri} was committed to by others {COMMIT_ATTEMPTS} times while its small files were to be replaced; "
        "they stay as they are, and the next run tries again"
    )
