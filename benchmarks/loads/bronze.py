"""The platform's load of one table into bronze, with the settings that the environment gives."""

from benchmarks.loads.job import Job, run
from data_platform.bronze.load import load as load_bronze
from data_platform.connectors.salesforce import Salesforce
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.sources.catalogue import table_named


def load(job: Job) -> dict[str, int | None]:
    settings = Settings()
    loaded = load_bronze(
        table_named(job.table), Salesforce(settings), Lake(settings.lake), settings.commit_rows
    )
    receipt = loaded.receipt
    return {
        "offered": receipt.offered,
        "landed": receipt.landed,
        "overlap": receipt.overlap,
        "batch": loaded.batch,
    }


if __name__ == "__main__":
    run(load)
