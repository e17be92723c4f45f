"""Spark's load of the same files into a Delta table: told their schema, so that it reads them once."""

from benchmarks.loads.job import Job, run
from data_platform.lake.spark import session
from data_platform.settings import Settings
from data_platform.silver.conformed import spark_type
from data_platform.sources.catalogue import table_named

# What a file is taken to cost beside its bytes. By Spark's own 4 MB a task would be 32 of these files, and each task
# writes a file; by this there are as many tasks as cores, in half of the time.
OPEN_COST = str(16 * 1024)
# The platform's sessions compile quickly rather than well; a long read is twice as fast compiled well.
COMPILED_WELL = "-XX:TieredStopAtLevel=4"


def prepare(_: Job) -> None:
    """The session, and the classes that a first write loads."""
    settings = Settings()
    spark = session(settings, jvm=[COMPILED_WELL])
    spark.conf.set("spark.sql.files.openCostInBytes", OPEN_COST)
    spark.range(1).write.format("delta").save(f"{settings.lake}/warm")


def load(job: Job) -> None:
    settings, table = Settings(), table_named(job.table)
    assert table.files is not None
    schema = ", ".join(f"`{column.name}` {spark_type(column.type)}" for column in table.columns)
    files = session(settings).read.schema(schema).option("recursiveFileLookup", True)
    read = files.json(f"{settings.landing}/{table.files.prefix}").selectExpr(
        "*", "_metadata.file_path as _origin"
    )
    read.write.format("delta").save(f"{settings.lake}/files")


if __name__ == "__main__":
    run(load, prepare)
