"""A table that holds what another store holds, by stretches of its rows: what changed is written, the rest stays.

Each file is one stretch, and its name begins with the fingerprint of what it holds. So the log itself says which
stretches are there, wherever in the other store they lie by now, and no list of them is kept beside it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import Schema
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from data_platform.lake.compaction import Live, live_files
from data_platform.lake.errors import explained
from data_platform.lake.files import DataFile, Folder, statistics_of, statistics_on
from data_platform.lake.tables import LakeTable, Note

# What follows the fingerprint in a file's name: "-", a random number of 36 characters, ".parquet".
_AFTER_FINGERPRINT = -45


@dataclass(frozen=True)
class Stretch:
    """Rows that lie together in the other store, and a fingerprint of their content."""

    number: int
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Shape:
    """What a table is beside its rows; `statistics` are the columns of which the log may keep values."""

    schema: pa.Schema
    statistics: tuple[str, ...]
    description: str


def bring_up(
    table: LakeTable,
    shape: Shape,
    stretches: Sequence[Stretch],
    rows_of: Callable[[Stretch], Iterable[pa.RecordBatch]],
    note: Note,
) -> int:
    """Make the table hold these stretches, in one commit; returns how many rows were written.

    Of a table whose shape is another, all is written anew.
    """
    held, like = live_files(table), is_like(table, shape)
    kept, missing = _compared(held, stretches) if like else ([], stretches)
    folder = _folder_for(table, shape)
    written: list[DataFile] = []
    with folder.unless_named(written, table):
        with explained(table.uri, "writing"):
            for stretch in missing:
                groups = (pa.Table.from_batches([rows]).cast(folder.schema) for rows in rows_of(stretch))
                folder.write(written, stretch.fingerprint, {}, groups)
        with explained(table.uri, "committing to"):
            added = [folder.added(file, is_new_data=True) for file in written]
            gone = [file for file in held if file.path not in kept] if like else None
            _commit(table, shape, added, gone, note)
    return sum(file.rows for file in written)


def _folder_for(table: LakeTable, shape: Shape) -> Folder:
    with explained(table.uri, "creating"):
        if table.delta is None and not table.uri.startswith("s3://"):
            # Of a disk, delta-rs opens what is there; a bucket has no folders.
            Path(table.uri).mkdir(parents=True, exist_ok=True)
        return Folder(table.uri, table.storage_options, _as_held(shape.schema), shape.statistics)


def _compared(held: Sequence[Live], stretches: Sequence[Stretch]) -> tuple[set[str], list[Stretch]]:
    """The files that hold a stretch each, and the stretches that no file holds."""
    there: dict[str, list[str]] = {}
    for file in held:
        there.setdefault(file.path[:_AFTER_FINGERPRINT], []).append(file.path)
    kept, missing = set(), []
    for stretch in stretches:
        if alike := there.get(stretch.fingerprint):
            kept.add(alike.pop())
        else:
            missing.append(stretch)
    return kept, missing


def is_like(table: LakeTable, shape: Shape) -> bool:
    """Whether the table is there and has that shape."""
    if table.delta is None:
        return False
    schema = pa.schema(table.delta.schema().to_arrow())
    return schema == _as_held(shape.schema) and statistics_of(table.delta) == list(shape.statistics)


def _as_held(schema: pa.Schema) -> pa.Schema:
    """The columns as a Delta table gives them back."""
    return pa.schema(Schema.from_arrow(schema).to_arrow())


def _commit(
    table: LakeTable, shape: Shape, added: Sequence[AddAction], gone: Sequence[Live] | None, note: Note
) -> None:
    """On top of the version that was read, or not at all; in place of some files, else of the table as it was."""
    if table.delta is None:
        create_table_with_add_actions(
            table.uri,
            Schema.from_arrow(shape.schema),
            list(added),
            description=shape.description[:4000] or None,
            configuration={**statistics_on(shape.statistics)},
            storage_options=dict(table.storage_options) or None,
            commit_properties=table.carrying(note, 1),
        )
        return
    says = table.carrying(note, table.batch + 1, retries=0)
    if gone is not None:
        now = int(time.time() * 1000)
        removed = [RemoveAction(file.path, True, now, file.size, {}) for file in gone]
        table.delta.create_write_transaction(
            [*added, *removed], "append", table.delta.schema(), commit_properties=says
        )
        return
    table.delta.create_write_transaction(
        list(added), "overwrite", Schema.from_arrow(shape.schema), commit_properties=says
    )
    # After it: while the log names values that it must not, the table is of another shape.
    after = table.fresh()
    assert after.delta is not None  # noqa: S101 - it was committed to
    after.delta.alter.set_table_properties(
        statistics_on(shape.statistics), commit_properties=after.carrying()
    )
