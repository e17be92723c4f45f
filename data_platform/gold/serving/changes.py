"""What of a silver table is to be loaded: how far it was read before, whether that still stands, and the rows since."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder

from data_platform.gold.serving.declared import IS_DELETED, Served
from data_platform.lake.errors import LakeError, explained
from data_platform.lake.schema import arrow_type
from data_platform.lake.tables import LakeTable

# Of the batches that are handed over: large enough to be quick, small enough to hold some.
BATCH_ROWS = 50_000
BATCH_BYTES = 32_000_000


@dataclass(frozen=True)
class Reached:
    """How far a silver table was read: its batch, and the commit by which its log is known again."""

    batch: int
    version: int
    table_id: str
    committed: int


def reached(silver: LakeTable) -> Reached:
    """The end of what the table holds as it was opened."""
    delta = _opened(silver)
    commit = _commits(silver, silver.version).get(silver.version)
    return Reached(
        silver.batch, silver.version, str(delta.metadata().id), commit["timestamp"] if commit else -1
    )


def still_stands(silver: LakeTable, before: Reached) -> bool:
    """Whether the table goes on from where it was read to: the same one, with that commit, and not restored to earlier.

    A log that no longer reaches back that far can't say so, and then it doesn't.
    """
    if str(_opened(silver).metadata().id) != before.table_id:
        return False
    if silver.batch < before.batch or silver.version < before.version:
        return False
    commits = _commits(silver, before.version)
    if before.version not in commits or commits[before.version]["timestamp"] != before.committed:
        return False
    since = (commits[version] for version in range(before.version + 1, silver.version + 1))
    return all(
        _restored_to(commit) >= before.version for commit in since if commit.get("operation") == "RESTORE"
    )


def _opened(silver: LakeTable) -> DeltaTable:
    if silver.delta is None:
        raise LakeError(f"{silver.uri} does not exist yet; materialize {silver.name} first")
    return silver.delta


def _commits(silver: LakeTable, first: int) -> dict[int, Mapping[str, Any]]:
    """The commits by their version, from the first on, as far as the log reaches back."""
    return {
        commit["version"]: commit
        for commit in takewhile(lambda each: each["version"] >= first, silver.commits())
    }


def _restored_to(commit: Mapping[str, Any]) -> int:
    version = commit.get("operationParameters", {}).get("version")
    # Restored by time, a table does not say to which version.
    return int(version) if version is not None else -1


def rows(silver: LakeTable, table: Served, since: int | None) -> Iterator[pa.RecordBatch]:
    """The table's rows that changed after a batch, deleted ones too, or (since None) all that it is to hold."""
    delta = _opened(silver)
    held = {field.name for field in delta.schema().fields}
    if missing := {column.silver_name for column in table.columns} - held:
        raise LakeError(
            f"{silver.uri} has no {', '.join(sorted(missing))}, of which {table.name} is served; materialize "
            f"{silver.name}, or correct the declaration"
        )
    fields = [pa.field(column.name, arrow_type(column.type)) for column in table.columns]
    if not table.keeps_deleted:
        fields.append(pa.field(IS_DELETED, pa.bool_()))
    with explained(silver.uri, "querying"):
        answer = QueryBuilder().register("held", delta).execute(_question(table, since))
        for batch in _gathered(pa.record_batch(each) for each in answer):
            yield _fitted(batch, pa.schema(fields))


def _question(table: Served, since: int | None) -> str:
    columns = [f'"{column.silver_name}" as "{column.name}"' for column in table.columns]
    wanted = [f"\"{name}\" = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in table.where.items()]
    if not table.keeps_deleted:
        columns.append(IS_DELETED)
    if since is not None:
        wanted.append(f"_batch > {since}")
    elif not table.keeps_deleted:
        wanted.append(f"not {IS_DELETED}")
    return f"select {', '.join(columns)} from held where {' and '.join(wanted) or 'true'}"


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small batches put together."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
        if (
            sum(each.num_rows for each in waiting) >= BATCH_ROWS
            or sum(each.nbytes for each in waiting) >= BATCH_BYTES
        ):
            yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()
            waiting = []
    if waiting:
        yield from pa.Table.from_batches(waiting).combine_chunks().to_batches()


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows in the declared types; texts without NUL, which no database's text holds."""
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        fitted = column.cast(field.type)
        if pa.types.is_string(field.type) and pc.any(pc.match_substring(fitted, "\0")).as_py():
            fitted = pc.replace_substring(fitted, "\0", "")
        columns.append(fitted)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
