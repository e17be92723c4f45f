"""The company's chain: bronze from what its sources hand over, silver and gold by Dagster, in this process."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.loads.chain import counts, materialized, seconds_by_step, start_spark
from benchmarks.loads.job import Job, run
from data_platform.automation.jobs import WHOLE_CHAIN
from data_platform.bronze.load import load as load_bronze
from data_platform.connectors.base import Batch, Landed, Offer, Part
from data_platform.declarations import SourceTable
from data_platform.definitions import defs
from data_platform.lake.places import lake_of
from data_platform.lake.schema import connector_schema
from data_platform.settings import Settings
from data_platform.sources.catalogue import TABLES

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class HandedOver:
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


def load(job: Job) -> dict[str, object]:
    logging.disable(logging.INFO)
    settings = Settings()
    source, lake = Path(job.table), lake_of(settings)
    bronze: dict[str, int] = {}
    began = time.perf_counter()
    for table in TABLES:
        folder = source / table.system / table.name
        if folder.exists():
            landed = load_bronze(table, HandedOver(folder), lake, settings.commit_rows)
            bronze[f"bronze/{table.system}/{table.name}"] = landed.receipt.landed if landed.receipt else 0
    bronze_seconds = time.perf_counter() - began
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def(WHOLE_CHAIN).execute_in_process(
            instance=instance, asset_selection=behind_bronze(bronze), raise_on_error=True
        )
    steps = seconds_by_step(done)
    return {
        "moved": {**bronze, **{e.asset_key.to_user_string(): counts(e) for e in materialized(done)}},
        "seconds_by_step": {
            "bronze": bronze_seconds,
            **{name: took for name, took in steps.items() if took > 0.05},
        },
    }


def behind_bronze(bronze: dict[str, int]) -> list[dg.AssetKey]:
    """Silver of what has landed, what is made of it, and gold."""
    graph = defs.resolve_asset_graph()
    landed = {dg.AssetKey(name.split("/")) for name in bronze}
    behind = dg.AssetSelection.assets(*landed).downstream() - dg.AssetSelection.assets(*landed)
    gold = dg.AssetSelection.groups(
        *{node.group_name for node in graph.asset_nodes if node.key.path[0] == "gold"}
    )
    chosen = (behind | gold) - dg.AssetSelection.groups("days_again")
    return sorted(chosen.resolve(graph))


if __name__ == "__main__":
    run(load, start_spark)
