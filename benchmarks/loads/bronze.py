"""The platform's load of one table into bronze, with the settings that the environment gives."""

from benchmarks.loads.job import Job, run
from benchmarks.tables import table_named
from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load as load_bronze
from data_platform.lake.places import lake_of
from data_platform.settings import Settings


def prepare(job: Job) -> None:
    """The connector's imports; the peers' are at the top of their modules."""
    connector_for(table_named(job.table), Settings())


def load(job: Job) -> dict[str, int | None]:
    settings, table = Settings(), table_named(job.table)
    loaded = load_bronze(table, connector_for(table, settings), lake_of(settings), settings.commit_rows)
    receipt = loaded.receipt
    return {
        "offered": receipt.offered,
        "landed": receipt.landed,
        "overlap": receipt.overlap,
        "batch": loaded.batch,
    }


if __name__ == "__main__":
    run(load, prepare)
