"""The CRM's chain, from Salesforce to the marts, run by Dagster's definitions in this process."""

import logging
from collections.abc import Set as AbstractSet
from pathlib import Path

import dagster as dg

from benchmarks.loads.job import Job, run
from data_platform.automation.jobs import WHOLE_CHAIN
from data_platform.definitions import defs
from data_platform.lake.spark import session
from data_platform.settings import Settings


def start_spark(job: Job) -> None:
    """The session, and its first write and merge: what a process pays once, whatever it then moves."""
    spark = session(Settings())
    scratch = f"delta.`{Path(job.folder) / 'scratch'}`"
    spark.sql(f"create or replace table {scratch} using delta as select 1 as id")
    spark.sql(
        f"merge into {scratch} t using (select 2 as id) s on t.id = s.id when not matched then insert *"
    )


def load(_: Job) -> dict[str, object]:
    logging.disable(logging.INFO)
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def(WHOLE_CHAIN).execute_in_process(
            instance=instance, asset_selection=sorted(crm())
        )
        return {
            "moved": {event.asset_key.to_user_string(): counts(event) for event in materialized(done)},
            "seconds_by_step": seconds_by_step(done),
        }


def crm() -> AbstractSet[dg.AssetKey]:
    """The CRM's marts, and what they are made of; of rates nobody publishes any here."""
    marts = dg.AssetSelection.groups("crm").upstream() - dg.AssetSelection.key_substring("exchange_rates")
    return marts.resolve(defs.resolve_asset_graph())


def materialized(done: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    events = [event for event in done.all_events if event.is_step_materialization]
    return [event.step_materialization_data.materialization for event in events]


def seconds_by_step(done: dg.ExecuteInProcessResult) -> dict[str, float]:
    ended = [event for event in done.all_events if event.is_step_success]
    return {str(event.step_key): event.step_success_data.duration_ms / 1000 for event in ended}


def counts(event: dg.AssetMaterialization) -> dict[str, int]:
    """What the asset says about the rows it read and wrote."""
    wanted = ("landed", "overlap", "read", "merged", "quarantined", "dagster/row_count")
    said = {name: value.value for name, value in event.metadata.items() if name in wanted}
    return {name: value for name, value in said.items() if isinstance(value, int)}


if __name__ == "__main__":
    run(load, start_spark)
