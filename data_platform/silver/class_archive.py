"""Makes the class archive with which local Spark sessions start (`lake.spark.CLASS_ARCHIVE`).

`python -m data_platform.silver.class_archive` is part of the set-up: it refines a row of one table, twice, so that
the classes of a first write and of a merge are in it.
"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from data_platform.bronze.load import bronze_table
from data_platform.declarations import SourceTable
from data_platform.lake.append import Appender
from data_platform.lake.schema import connector_schema
from data_platform.lake.spark import CLASS_ARCHIVE, session
from data_platform.lake.tables import Lake, Note
from data_platform.settings import Settings
from data_platform.silver.step import refine
from data_platform.sources.catalogue import TABLES


def make_archive() -> None:
    CLASS_ARCHIVE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_platform_home=Path(folder))
        lake = Lake(f"{folder}/lake")
        spark = session(settings, jvm=[f"-XX:ArchiveClassesAtExit={CLASS_ARCHIVE}"])
        for round_ in range(2):
            _land_a_row(TABLES[0], lake, round_)
            refine(lambda: spark, TABLES[0], lake)
        spark.stop()


def _land_a_row(table: SourceTable, lake: Lake, round_: int) -> None:
    """A row that passes no rule but those of its key and cursor, so that quarantine is written as well."""
    stamp = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=round_)
    appender = Appender(bronze_table(table, lake))
    values = {name: f"{name}@{name}" for name in table.key} | {"_op": "upsert"}
    columns = [
        pa.array([stamp if pa.types.is_timestamp(field.type) else values.get(field.name)], field.type)
        for field in connector_schema(table)
    ]
    appender.write(pa.RecordBatch.from_arrays(columns, schema=connector_schema(table)))
    appender.commit(Note({"round": round_}))


if __name__ == "__main__":
    make_archive()
