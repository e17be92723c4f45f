"""The platform's load of landed files into bronze, with the settings that the environment gives."""

from benchmarks.loads.job import Job, run
from data_platform.bronze.assets import connector_for
from data_platform.bronze.load import load as load_bronze
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.sources.catalogue import table_named


def load(job: Job) -> dict[str, int | None]:
    settings, table = Settings(), table_named(job.table)
    loaded = load_bronze(table, connector_for(table, settings), lake_of(settings), settings.commit_rows)
    return {"offered": loaded.receipt.offered, "landed": loaded.receipt.landed}


if __name__ == "__main__":
    run(load)
