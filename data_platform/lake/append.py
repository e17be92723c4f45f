"""Appending to a table: rows stream into Parquet files, and one commit makes them visible with their position."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from data_platform.lake.errors import CommitLost, explained
from data_platform.lake.files import ROW_GROUP_ROWS, DataFile, Folder
from data_platform.lake.schema import LANDED_ON
from data_platform.lake.tables import APP_ID, LakeTable, Note

FILE_ROWS = 1_000_000


class Appender:
    """Rows on their way into one table, from its position on; `commit` makes what was written so far count.

    All rows of a commit land at one time, and so on one day, in whichever their first row was written.
    """

    def __init__(self, table: LakeTable) -> None:
        if table.delta is None:
            raise ValueError(f"{table.uri} must be created before rows are appended to it")
        self.table = table
        self.delta = table.delta
        self.schema = pa.schema(self.delta.schema().to_arrow())
        self.folder = Folder.of(self.delta, table.uri, table.storage_options)
        self.batch = table.batch + 1
        self.landed_at = datetime.now(UTC)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._files: list[DataFile] = []

    @property
    def rows(self) -> int:
        """Written since the last commit."""
        return self._waiting_rows + sum(file.rows for file in self._files)

    def write(self, rows: pa.RecordBatch) -> None:
        """Take rows in; columns that they lack and the table has become null."""
        if rows.num_rows:
            self._waiting.append(rows)
            self._waiting_rows += rows.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._flush()

    def commit(self, note: Note) -> int:
        """Make the rows count, with the position after them; returns the batch that they are."""
        self._flush()
        with explained(self.table.uri, "writing to"):
            for file in self._files:
                file.writer.close()
        written, self._files = self._files, []
        with self.folder.unless_named(written, self.table), explained(self.table.uri, "committing to"):
            self.delta.create_write_transaction(
                [self.folder.added(file, is_new_data=True) for file in written],
                mode="append",
                schema=self.delta.schema(),
                partition_by=list(self.folder.partitioned_by),
                commit_properties=self.table.carrying(note, self.batch),
            )
            # The next commit is checked against what the table holds from here on.
            self.delta.update_incremental()
        committed, self.batch = self.batch, self.batch + 1
        if self.delta.transaction_version(APP_ID) != committed:
            raise CommitLost(
                f"another run wrote to {self.table.uri} right after this one's batch {committed}; that batch stands, "
                "and running again goes on from the table's position"
            )
        return committed

    def discard(self) -> None:
        """Forget what was not committed."""
        self._waiting, self._waiting_rows = [], 0
        self.folder.discard(self._files)
        self._files = []

    def _flush(self) -> None:
        if not self._waiting_rows:
            return
        if not self._files:
            self.landed_at = datetime.now(UTC)
        rows = self._stamped(pa.Table.from_batches(self._waiting))
        self._waiting, self._waiting_rows = [], 0
        with explained(self.table.uri, "writing to"):
            if not self._files or self._files[-1].rows >= FILE_ROWS:
                self._files.append(self._new_file(rows))
            self._files[-1].write(rows, self.folder.statistics)

    def _stamped(self, rows: pa.Table) -> pa.Table:
        """The rows in the files' schema, with the batch and the time that they land."""
        stamps: Mapping[str, Any] = {"_batch": self.batch, "_landed_at": self.landed_at}
        held = set(rows.column_names)
        columns = [
            rows.column(column.name).cast(column.type)
            if column.name in held
            else pa.repeat(pa.scalar(stamps.get(column.name), column.type), rows.num_rows)
            for column in self.folder.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.folder.schema)

    def _new_file(self, first: pa.Table) -> DataFile:
        if self._files:
            self._files[-1].writer.close()
        landed_on = {LANDED_ON: self.landed_at.date().isoformat()}
        return self.folder.new_file(f"part-{self.batch:08d}", landed_on, first)
