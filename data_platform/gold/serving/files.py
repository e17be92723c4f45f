"""Rows on their way to a target that reads files: Parquet, some at a time, each gone when it was handed over."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Rows of a file; several files are read at once by the target.
FILE_ROWS = 1_000_000


def parquet_files(rows: Iterator[pa.RecordBatch], *, old_moments: bool = False) -> Iterator[Path]:
    """The rows in files, of which one is there at a time. `old_moments` are INT96, which every reader knows."""
    with tempfile.TemporaryDirectory() as folder:
        writer: pq.ParquetWriter | None = None
        written = number = 0
        file = Path(folder)
        for batch in rows:
            if writer is None:
                file = Path(folder) / f"part-{number:05d}.parquet"
                writer = pq.ParquetWriter(
                    file, batch.schema, compression="zstd", use_deprecated_int96_timestamps=old_moments
                )
            writer.write_batch(batch)
            written += batch.num_rows
            if written >= FILE_ROWS:
                writer.close()
                yield file
                file.unlink()
                writer, written, number = None, 0, number + 1
        if writer:
            writer.close()
            yield file
