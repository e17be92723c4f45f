"""Appending to a table: rows stream into Parquet files, and one commit makes them visible with their position.

The files are written here rather than by delta-rs so that a commit can say what the rows amounted to, which is
known only when the last of them has passed; memory holds one row group at a time.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from data_platform.lake.errors import CommitLost, explained
from data_platform.lake.tables import APP_ID, LakeTable, Note

ROW_GROUP_ROWS = 25_000
FILE_ROWS = 1_000_000
# A decimal is a number with all its digits there.
_STATISTICS = msgspec.json.Encoder(decimal_format="number")


@dataclass
class _File:
    """A Parquet file on its way, and the statistics that the log will hold of it."""

    path: str
    writer: pq.ParquetWriter
    rows: int = 0
    low: dict[str, Any] = field(default_factory=dict)
    high: dict[str, Any] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)

    def observe(self, rows: pa.Table, columns: Sequence[str]) -> None:
        self.rows += rows.num_rows
        for name in columns:
            column = rows.column(name)
            self.nulls[name] = self.nulls.get(name, 0) + column.null_count
            ends = pc.min_max(column).as_py()
            if ends["min"] is not None:
                self.low[name] = min(self.low.get(name, ends["min"]), ends["min"])
                self.high[name] = max(self.high.get(name, ends["max"]), ends["max"])

    def stats(self) -> str:
        return _STATISTICS.encode(
            {
                "numRecords": self.rows,
                "minValues": {name: _written(value) for name, value in self.low.items()},
                "maxValues": {name: _written(value) for name, value in self.high.items()},
                "nullCount": self.nulls,
            }
        ).decode()


def _written(value: Any) -> Any:
    """A statistic as the Delta protocol writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


class Appender:
    """Rows on their way into one table, from its position on; `commit` makes what was written so far count."""

    def __init__(self, table: LakeTable) -> None:
        if table.delta is None:
            raise ValueError(f"{table.uri} must be created before rows are appended to it")
        self.table = table
        self.delta = table.delta
        self.schema = pa.schema(self.delta.schema().to_arrow())
        wanted = self.delta.metadata().configuration.get("delta.dataSkippingStatsColumns") or ""
        self.stats = [name.strip("`") for name in wanted.split(",") if name]
        self.batch = table.batch + 1
        self.landed_at = datetime.now(UTC)
        self._filesystem: pa_fs.FileSystem = pa_fs.PyFileSystem(
            DeltaStorageHandler(table.uri, dict(table.storage_options) or None)
        )
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._files: list[_File] = []

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
        with explained(self.table.uri, "committing to"):
            self.delta.create_write_transaction(
                [self._action(file) for file in self._files],
                mode="append",
                schema=self.delta.schema(),
                commit_properties=self.table.carrying(note, self.batch),
            )
            # The next commit is checked against what the table holds from here on.
            self.delta.update_incremental()
        self._files = []
        committed, self.batch = self.batch, self.batch + 1
        if self.delta.transaction_version(APP_ID) != committed:
            raise CommitLost(
                f"another run wrote to {self.table.uri} right after this one's batch {committed}; that batch stands, "
                "and running again goes on from the table's position"
            )
        return committed

    def discard(self) -> None:
        """Forget what was not committed; a file that can't be removed now is left to vacuum."""
        self._waiting, self._waiting_rows = [], 0
        for file in self._files:
            with suppress(OSError):
                file.writer.close()
            with suppress(OSError):
                self._filesystem.delete_file(file.path)
        self._files = []

    def _flush(self) -> None:
        if not self._waiting_rows:
            return
        rows = self._stamped(pa.Table.from_batches(self._waiting))
        self._waiting, self._waiting_rows = [], 0
        with explained(self.table.uri, "writing to"):
            if not self._files or self._files[-1].rows >= FILE_ROWS:
                self._files.append(self._new_file())
            file = self._files[-1]
            file.writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        file.observe(rows, self.stats)

    def _stamped(self, rows: pa.Table) -> pa.Table:
        """The rows in the table's schema, with the batch and the time that they land."""
        stamps: Mapping[str, Any] = {"_batch": self.batch, "_landed_at": self.landed_at}
        held = set(rows.column_names)
        columns = [
            rows.column(column.name).cast(column.type)
            if column.name in held
            else pa.repeat(pa.scalar(stamps.get(column.name), column.type), rows.num_rows)
            for column in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _new_file(self) -> _File:
        if self._files:
            self._files[-1].writer.close()
        path = f"part-{self.batch:08d}-{uuid.uuid4()}.parquet"
        writer = pq.ParquetWriter(
            path, self.schema, filesystem=self._filesystem, compression="zstd", write_statistics=self.stats
        )
        return _File(path, writer)

    def _action(self, file: _File) -> AddAction:
        return AddAction(
            path=file.path,
            size=self._filesystem.get_file_info(file.path).size,
            partition_values={},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=file.stats(),
        )
