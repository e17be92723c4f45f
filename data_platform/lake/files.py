"""Data files: Parquet on its way to where a table is, and the actions by which a commit names it.

They are written here rather than by delta-rs so that a commit can say what its rows amounted to, which is known only
when the last of them has passed; memory holds one row group at a time.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from data_platform.lake.errors import LakeError

if TYPE_CHECKING:
    from data_platform.lake.tables import LakeTable

ROW_GROUP_ROWS = 25_000
# So many rows tell whether the values of a column repeat; fewer than half as many would by chance.
SAMPLE_ROWS = 2_000
STATISTICS = "delta.dataSkippingStatsColumns"
# A decimal is a number with all its digits there.
_AS_STATISTICS = msgspec.json.Encoder(decimal_format="number")


@dataclass
class DataFile:
    """A Parquet file on its way, and the statistics that the log will hold of it."""

    path: str
    partition: Mapping[str, str]
    writer: pq.ParquetWriter
    rows: int = 0
    low: dict[str, Any] = field(default_factory=dict)
    high: dict[str, Any] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)

    def write(self, rows: pa.Table, statistics: Sequence[str]) -> None:
        """Rows in the schema of the files."""
        self.writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self.rows += rows.num_rows
        for name in statistics:
            column = rows.column(name)
            self.nulls[name] = self.nulls.get(name, 0) + column.null_count
            ends = pc.min_max(column).as_py()
            if ends["min"] is not None:
                self.low[name] = min(self.low.get(name, ends["min"]), ends["min"])
                self.high[name] = max(self.high.get(name, ends["max"]), ends["max"])

    @property
    def stats(self) -> str:
        return _AS_STATISTICS.encode(
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


def statistics_of(delta: DeltaTable) -> list[str]:
    """The columns of which the log keeps the least and the greatest value."""
    wanted = delta.metadata().configuration.get(STATISTICS) or ""
    return [name.strip("`") for name in wanted.split(",") if name]


def statistics_on(columns: Sequence[str]) -> dict[str, str]:
    """The same, as a table's configuration says it."""
    return {STATISTICS: ",".join(f"`{name}`" for name in columns)}


def hardly_repeating(rows: pa.Table) -> set[str]:
    """The columns whose values are nearly all different: keys, moments, texts. A dictionary of theirs takes a third of
    the time that a file takes to write, and more room than the values alone."""
    return {name for name in rows.column_names if _hardly_repeats(rows.column(name).slice(0, SAMPLE_ROWS))}


def _hardly_repeats(values: pa.ChunkedArray) -> bool:
    known: int = len(values) - values.null_count
    if known < SAMPLE_ROWS / 2 or not any(kind(values.type) for kind in _COUNTED):
        return False
    different: int = pc.count_distinct(values).as_py()
    return different > 0.9 * known


# The types of which Arrow counts different values.
_COUNTED = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_temporal,
)


def _leaves(schema: pa.Schema) -> list[str]:
    """What Parquet calls the columns, and those inside them."""
    told = pa.BufferOutputStream()
    pq.write_metadata(schema, told)
    leaves = pq.read_metadata(pa.BufferReader(told.getvalue())).schema
    return [leaves.column(place).path for place in range(len(leaves))]


class Folder:
    """A table's folder, for the files that are written to it and read from it."""

    def __init__(
        self,
        uri: str,
        storage_options: Mapping[str, str],
        schema: pa.Schema,
        statistics: Sequence[str],
        partitioned_by: Sequence[str] = (),
    ) -> None:
        self.partitioned_by = tuple(partitioned_by)
        # What a table is partitioned by stands in the log, and in no file.
        self.schema = pa.schema([column for column in schema if column.name not in self.partitioned_by])
        self.statistics = list(statistics)
        self._dictionaries: list[str] | None = None
        self.filesystem: pa_fs.FileSystem = pa_fs.PyFileSystem(
            DeltaStorageHandler(uri, dict(storage_options) or None)
        )

    @classmethod
    def of(cls, delta: DeltaTable, uri: str, storage_options: Mapping[str, str]) -> Self:
        """The folder of a table that is there, as its log describes it."""
        schema = pa.schema(delta.schema().to_arrow())
        return cls(uri, storage_options, schema, statistics_of(delta), delta.metadata().partition_columns)

    def new_file(self, name: str, partition: Mapping[str, str], first: pa.Table) -> DataFile:
        """One that begins with these rows."""
        if self._dictionaries is None:
            plain = hardly_repeating(first)
            self._dictionaries = [leaf for leaf in _leaves(self.schema) if leaf not in plain]
        folders = "".join(f"{column}={partition[column]}/" for column in self.partitioned_by)
        path = f"{folders}{name}-{uuid.uuid4()}.parquet"
        writer = pq.ParquetWriter(
            path,
            self.schema,
            filesystem=self.filesystem,
            compression="zstd",
            use_dictionary=self._dictionaries,
            write_statistics=self.statistics,
        )
        return DataFile(path, {column: partition[column] for column in self.partitioned_by}, writer)

    def added(self, file: DataFile, *, is_new_data: bool) -> AddAction:
        """The action that names a file whose writer was closed."""
        return AddAction(
            path=file.path,
            size=self.filesystem.get_file_info(file.path).size,
            partition_values=file.partition,
            modification_time=int(time.time() * 1000),
            data_change=is_new_data,
            stats=file.stats,
        )

    def write(
        self, files: list[DataFile], name: str, partition: Mapping[str, str], groups: Iterable[pa.Table]
    ) -> None:
        """One more file, of these groups of rows."""
        coming = iter(groups)
        first = next(coming, self.schema.empty_table())
        files.append(self.new_file(name, partition, first))
        for rows in chain([first], coming):
            files[-1].write(rows, self.statistics)
        files[-1].writer.close()

    @contextmanager
    def unless_named(self, files: Sequence[DataFile], table: "LakeTable") -> Iterator[None]:
        """What goes wrong inside removes the files that were written, but for those that the table names all the same.

        A commit stands although the checkpoint after it fails, or its answer is lost, or we are told to stop in that
        moment.
        """
        try:
            yield
        except BaseException:
            # Where that is not to be known now, vacuum removes what nothing names.
            with suppress(LakeError):
                named = table.fresh().files
                self.discard([file for file in files if file.path not in named])
            raise

    def discard(self, files: Sequence[DataFile]) -> None:
        """Remove files that were in no commit; one that can't be removed now is left to vacuum."""
        for file in files:
            with suppress(OSError):
                file.writer.close()
            with suppress(OSError):
                self.filesystem.delete_file(file.path)
