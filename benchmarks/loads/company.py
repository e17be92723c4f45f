"""The company's chain: bronze from what its sources hand over, silver and gold by Dagster, in this process."""

import logging
import time
from pathlib import Path

import dagster as dg

from benchmarks.handed_over import land, tables_of
from benchmarks.loads.chain import counts, materialized, seconds_by_step, start_spark
from benchmarks.loads.job import Job, run
from data_platform.automation.jobs import WHOLE_CHAIN
from data_platform.definitions import defs
from data_platform.lake.places import lake_of
from data_platform.settings import Settings


def load(job: Job) -> dict[str, object]:
    logging.disable(logging.INFO)
    settings = Settings()
    source, lake = Path(job.table), lake_of(settings)
    bronze: dict[str, int] = {}
    began = time.perf_counter()
    for table in tables_of(source):
        landed = land(table, source, lake, settings.commit_rows)
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
