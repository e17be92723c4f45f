"""Spark's load of the same files into a Delta table: told their schema, so that it reads them once."""

from benchmarks.loads.job import Job, run
from data_platform.lake.spark import session
from data_platform.settings import Settings
from data_platform.silver.conformed import spark_type
from data_platform.sources.catalogue import table_named


def prepare(job: Job) -> None:  # noqa: ARG001 - what a load is asked to prepare with
    """The session, and the classes that a first write loads."""
    settings = Settings()
    session(settings).range(1).write.format("delta").save(f"{settings.lake}/warm")


def load(job: Job) -> None:
    settings, table = Settings(), table_named(job.table)
    schema = ", ".join(f"`{column.name}` {spark_type(column.type)}" for column in table.columns)
    files = session(settings).read.schema(schema).option("recursiveFileLookup", True)
    read = files.json(f"{settings.landing}/{table.files.prefix}").selectExpr(
        "*", "_metadata.file_path as _origin"
    )
    read.write.format("delta").save(f"{settings.lake}/files")


if __name__ == "__main__":
    run(load, prepare)
