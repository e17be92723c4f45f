"""What a company's sources hand over (company.py), as a connector gives it: the files of a table, day after day."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.bronze.load import Loaded, load
from data_platform.connectors.base import Batch, Landed, Offer, Part
from data_platform.declarations import SourceTable
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import Lake
from data_platform.sources.catalogue import TABLES

BATCH_ROWS = 50_000


def tables_of(folder: Path) -> list[SourceTable]:
    """Those of which the company hands anything over."""
    return [table for table in TABLES if _files_of(table, folder).exists()]


def land(table: SourceTable, folder: Path, lake: Lake, commit_rows: int) -> Loaded:
    """Into bronze, what was handed over since."""
    return load(table, _HandedOver(_files_of(table, folder)), lake, commit_rows)


def _files_of(table: SourceTable, folder: Path) -> Path:
    return folder / table.system / table.name


@dataclass(frozen=True)
class _HandedOver:
    """A connector that reads a table's files in the order of their days, from the day after the last one on."""

    folder: Path

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        before = int((landed.position or {}).get("day", -1))
        files = [file for file in sorted(self.folder.glob("*.parquet")) if int(file.stem) > before]
        until = int(files[-1].stem) if files else before
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        part = Part(self._batches(table, files), rows, table.key, may_repeat=False)
        return Offer(iter([part] if files else []), {"day": until})

    def _batches(self, table: SourceTable, files: list[Path]) -> Iterator[Batch]:
        schema = connector_schema(table)
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
                columns = [
                    batch.column(field.name).cast(field.type)
                    if field.name in batch.schema.names
                    else pa.nulls(len(batch), field.type)
                    for field in schema
                ]
                yield Batch(pa.RecordBatch.from_arrays(columns, schema=schema))
