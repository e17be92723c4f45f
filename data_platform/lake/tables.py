"""Delta tables by name: where they are, how far their inputs were read, and what they hold.

Reading goes through delta-rs; nothing here starts a JVM.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import pyarrow as pa
import pyarrow.fs as pa_fs
from deltalake import CommitProperties, DeltaTable, Field, QueryBuilder, Transaction
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from data_platform.declarations import SourceTable
from data_platform.lake.errors import LakeError, PositionMissing, explained
from data_platform.lake.files import statistics_on
from data_platform.lake.receipts import Receipt

# The application whose transaction versions are a table's batches.
APP_ID = "data_platform"

# A table that may take a commit a second. Each commit lists the log's folder and each checkpoint tells what was
# replaced, so both have to stay short; a reader takes seconds from a version's number to its list of files.
MANY_COMMITS = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 15 minutes",
    "delta.deletedFileRetentionDuration": "interval 15 minutes",
}


@dataclass(frozen=True)
class Note:
    """What we write into a commit: how far the inputs were read, and what became of their rows.

    `batch` is the one that the position came with. Maintenance carries the note of the batch that it saw, and may
    commit after a load that it did not see: the batch tells that such a note is not the newest.
    """

    position: Mapping[str, Any]
    receipt: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = field(default=None, compare=False)

    def to_json(self) -> str:
        said = {"position": self.position, "receipt": self.receipt, "batch": self.batch}
        return json.dumps(said, sort_keys=True)

    @classmethod
    def from_commit(cls, commit: Mapping[str, Any]) -> Self | None:
        try:
            written = json.loads(commit.get("userMetadata") or "null")
        except ValueError:
            return None
        if not isinstance(written, dict) or "position" not in written:
            return None
        return cls(written["position"], written.get("receipt", {}), written.get("batch"))


def _in_force(history: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The commits, newest first, but for those that a RESTORE undid: their rows are gone, and so is their position."""
    ceiling: int | None = None
    for commit in history:
        if ceiling is not None and commit["version"] > ceiling:
            continue
        restored = commit.get("operationParameters", {}).get("version")
        if commit.get("operation") == "RESTORE" and restored is not None:
            ceiling = int(restored)
            continue
        yield commit


@dataclass(frozen=True)
class Lake:
    """The place of all tables: a folder, or s3://bucket/prefix with the options to reach it."""

    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def at(self, *path: str) -> "LakeTable":
        name = "/".join(path)
        return LakeTable(name, f"{self.uri.rstrip('/')}/{name}", self.storage_options)

    def bronze(self, table: SourceTable) -> "LakeTable":
        return self.at("bronze", table.system, table.name)

    def quarantine(self, table: SourceTable) -> "LakeTable":
        """Records of the source that could not be decoded."""
        return self.at("quarantine", table.system, table.name)

    def silver(self, name: str) -> "LakeTable":
        return self.at("silver", name)

    def silver_quarantine(self, name: str) -> "LakeTable":
        """Rows that broke an error rule on their way to silver."""
        return self.at("quarantine", "silver", name)

    def scores(self) -> "LakeTable":
        """How good the tables were, over time."""
        return self.at("quality", "scores")


@dataclass(frozen=True)
class LakeTable:
    """One table at one place. What it says of itself is read from one version of it, taken when first asked."""

    name: str
    uri: str
    storage_options: Mapping[str, str] = field(repr=False)

    @cached_property
    def delta(self) -> DeltaTable | None:
        """The table as it stands; None before it is created."""
        with explained(self.uri, "reading"):
            try:
                return self._opened()
            except TableNotFoundError:
                return None

    def _opened(self, version: int | None = None) -> DeltaTable:
        return DeltaTable(self.uri, version=version, storage_options=dict(self.storage_options) or None)

    def fresh(self) -> "LakeTable":
        """The same table, to be read anew."""
        return LakeTable(self.name, self.uri, self.storage_options)

    def onward(self) -> "LakeTable":
        """The same table as it stands now, by what was committed since; this one must not be asked any more."""
        if self.delta is None:
            return self.fresh()
        with explained(self.uri, "reading"):
            self.delta.update_incremental()
        onward = self.fresh()
        onward.__dict__["delta"] = self.delta
        return onward

    @property
    def exists(self) -> bool:
        return self.delta is not None

    @property
    def version(self) -> int:
        return self.delta.version() if self.delta else -1

    @property
    def batch(self) -> int:
        """The number of the last batch that was committed; 0 before the first."""
        return (self.delta.transaction_version(APP_ID) or 0) if self.delta else 0

    @property
    def rows(self) -> int:
        return self.delta.count() if self.delta else 0

    @property
    def files(self) -> set[str]:
        """The paths that its newest version names."""
        if self.delta is None:
            return set()
        return set(pa.table(self.delta.get_add_actions(flatten=True)).column("path").to_pylist())

    def at(self, version: int) -> "LakeTable":
        """The table as an earlier version held it."""
        earlier = self.fresh()
        with explained(self.uri, "reading"):
            earlier.__dict__["delta"] = self._opened(version)
        return earlier

    @cached_property
    def note(self) -> Note | None:
        """The newest commit that carries a position; each of ours does, another tool's may not."""
        if self.delta is None:
            return None
        newest = None
        for commit in _in_force(self.commits()):
            if note := Note.from_commit(commit):
                if note.batch in (None, self.batch):
                    return note
                newest = newest or note
        if newest:
            # The table was restored, and has a later batch's number without its rows.
            return newest
        if self.rows:
            raise PositionMissing(
                f"{self.uri} has rows, and no commit in its log says how far its inputs were read. Set the position "
                f"with `data-platform position set`, or move the table away to load it from the start"
            )
        return None

    def commits(self) -> Iterator[dict[str, Any]]:
        """What each commit says of itself, from the version that was opened backwards, as far as the log reaches.

        The log's own files are read: delta-rs' history begins with the newest commit, also where that is later than
        what was opened, and numbers it as if it were not.
        """
        storage = DeltaStorageHandler(self.uri, dict(self.storage_options) or None)
        log = pa_fs.PyFileSystem(storage)
        for version in range(self.version, -1, -1):
            with explained(self.uri, "reading the history of"):
                try:
                    with log.open_input_stream(f"_delta_log/{version:020}.json") as file:
                        lines = file.read().splitlines()
                except FileNotFoundError:
                    return
            told = next((line for line in lines if line.startswith(b'{"commitInfo"')), b'{"commitInfo":{}}')
            yield {**json.loads(told)["commitInfo"], "version": version}

    @property
    def position(self) -> Mapping[str, Any] | None:
        return self.note.position if self.note and self.note.position else None

    @cached_property
    def written_at(self) -> datetime | None:
        """When the newest version was committed."""
        if self.delta is None:
            return None
        return datetime.fromtimestamp(next(self.commits())["timestamp"] / 1000, UTC)

    @property
    def receipt(self) -> Receipt | None:
        """Of the last load that landed anything."""
        return Receipt.from_dict(dict(self.note.receipt)) if self.note and self.note.receipt else None

    def create(
        self, schema: pa.Schema, stats: tuple[str, ...], description: str = "", by_day: str = ""
    ) -> "LakeTable":
        """Make the table where it is missing, and add the columns that a declaration gained.

        Only `stats` columns get file statistics: these are copied into the log, where a personal value could not
        be erased. A table partitioned `by_day` is one of many small commits. One that was made without partitions
        goes on without them, and without that column.
        """
        if self.delta is None:
            with explained(self.uri, "creating"):
                DeltaTable.create(
                    self.uri,
                    schema=schema,
                    mode="ignore",
                    description=description[:4000] or None,
                    partition_by=[by_day] if by_day else None,
                    configuration={
                        **statistics_on(stats),
                        **(MANY_COMMITS if by_day else {}),
                    },
                    storage_options=dict(self.storage_options) or None,
                )
            return self.fresh().create(schema, stats, description, by_day)
        held = pa.schema(self.delta.schema().to_arrow())
        if by_day and by_day not in held.names:
            schema = schema.remove(schema.get_field_index(by_day))
        self._refuse_changed_types(held, schema)
        gained = [Field.from_arrow(column) for column in schema if column.name not in held.names]
        if gained:
            with explained(self.uri, "adding columns to"):
                self.delta.alter.add_columns(gained, commit_properties=self.carrying())
            return self.fresh()
        return self

    def _refuse_changed_types(self, held: pa.Schema, declared: pa.Schema) -> None:
        for column in declared:
            if column.name in held.names and column.type != held.field(column.name).type:
                raise LakeError(
                    f"{self.uri} holds {column.name} as {held.field(column.name).type}, and it is declared "
                    f"{column.type} now; declare it as before, or move the table away to load it from the start"
                )

    def carrying(
        self, note: Note | None = None, batch: int | None = None, retries: int | None = None
    ) -> CommitProperties:
        """The properties of a commit: the given note, or the position that the table holds already.

        A `batch` is a new one. Without retries, nothing may have been committed since the table was opened.
        """
        note = replace(note, batch=self.batch if batch is None else batch) if note else self.note
        return CommitProperties(
            custom_metadata={"userMetadata": note.to_json()} if note else None,
            max_commit_retries=retries,
            app_transactions=[Transaction(APP_ID, batch)] if batch is not None else None,
        )

    def set_position(self, position: Mapping[str, Any]) -> None:
        """Say from where the next load reads, in a commit without rows."""
        if self.delta is None:
            raise PositionMissing(
                f"{self.uri} does not exist yet, so it has no position to set; load it once first"
            )
        with explained(self.uri, "setting the position of"):
            self.delta.create_write_transaction(
                [],
                mode="append",
                schema=self.delta.schema(),
                commit_properties=self.carrying(Note(position), self.batch + 1),
            )

    def carry_on(self) -> None:
        """Let the newest commit say the position that is in force, where it says none or one that is not: before the
        log is shortened, which may leave that commit alone."""
        if self.delta is None or self.note is None:
            return
        last = Note.from_commit(next(self.commits()))
        if last is None or (last, last.batch) != (self.note, self.note.batch):
            self.delta.create_write_transaction(
                [], mode="append", schema=self.delta.schema(), commit_properties=self.carrying()
            )

    def query(self, sql: str) -> pa.Table:
        """The answer to a question in SQL, in which this table is called `held`."""
        with explained(self.uri, "querying"):
            return pa.table(self._asked(sql).read_all())

    def answer(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The same piece by piece, which memory need not hold at once."""
        with explained(self.uri, "querying"):
            yield from map(pa.record_batch, self._asked(sql))

    def _asked(self, sql: str) -> Any:
        if self.delta is None:
            raise PositionMissing(f"{self.uri} does not exist yet; load it first")
        return QueryBuilder().register("held", self.delta).execute(sql)
