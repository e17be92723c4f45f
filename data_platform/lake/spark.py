"""The Spark session: made when a step first asks for it, shared by all steps of a run."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.lake.errors import LakeError
from data_platform.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What every session needs, wherever it runs.
SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    # Where in Python each column was made is told to the JVM in several messages, each time.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # Lower case by ICU costs every session seconds before its first row, and differs on no address.
    "spark.sql.icu.caseMappings.enabled": "false",
    # As Spark writes them else, moments have no statistics: each file is opened for each span of time.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # What is merged was checkpointed before, so it can't change while Delta reads it twice.
    "spark.databricks.delta.merge.materializeSource": "none",
}

# What a process of its own is started with.
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

# One machine: two cores, no web page, and no network but its own.
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
}

# What goes wrong comes back as an exception; the terminal is the step's own.
QUIET_JVM = (f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}",)

# Sessions on one machine live for minutes: quick compilation beats the best one.
LOCAL_JVM = (
    "-XX:+UseParallelGC",
    "-XX:-UsePerfData",
    "-XX:TieredStopAtLevel=1",
    # With quick compilation alone the JVM keeps room for 48 MB of code; a run of the whole chain fills that half
    # way, and what comes after is not compiled at all.
    "-XX:ReservedCodeCacheSize=240m",
    # Room for Spark's classes from the start: to find it piece by piece costs a look at everything, each time.
    "-XX:MetaspaceSize=192m",
    "-Xlog:disable",
    *QUIET_JVM,
)

# Classes as the JVM has them in memory, written at set-up (silver/class_archive.py): a session starts in half the
# time. A JVM to which the file does not fit passes over it.
CLASS_ARCHIVE = CHECKOUT / ".tools" / "spark-classes.jsa"


def session(settings: Settings, jvm: Sequence[str] = ()) -> "SparkSession":
    """The session that is running, or a new one: on Spark Connect where SPARK_REMOTE is set, else on SPARK_MASTER.

    `jvm` adds options to the JVM of a new one.
    """
    from pyspark.sql import SparkSession

    _leave_errors_to_their_exceptions()
    if settings.spark_remote:
        return _configured(SparkSession.builder.remote(settings.spark_remote)).getOrCreate()
    if active := SparkSession.getActiveSession():
        return active
    jars = sorted(settings.spark_jars.glob("*.jar"))
    if not jars:
        raise LakeError(
            f"Spark has no Delta jars in {settings.spark_jars}; run `make setup`, which fetches them"
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = _configured(SparkSession.builder.appName("data-platform").master(settings.spark_master))
    for name, value in {**DELTA, **_storage(settings), **_process(settings, jars, jvm)}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    # An error comes back as an exception; Spark would tell it four times before, with frames of the JVM.
    spark.sparkContext.setLogLevel("FATAL")
    _remember_what_is_always_asked(spark)
    return spark


class _Remembered:
    """A class of the JVM whose members are looked up once."""

    def __init__(self, looked_up: Any) -> None:
        self._looked_up = looked_up

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._looked_up, name)
        setattr(self, name, found)
        return found


def _remember_what_is_always_asked(spark: "SparkSession") -> None:
    """For each word of a plan PySpark asks the JVM anew where its functions are, and the JVM goes through some hundred
    archives before it knows: as long as it takes to plan a small step."""
    view: Any = spark.sparkContext._jvm
    for name in ALWAYS_ASKED:
        found = getattr(view, name)
        if not isinstance(found, _Remembered):
            setattr(view, name, _Remembered(found))


def submitted_session() -> "SparkSession":
    """The session of a job that somebody submitted, who said where it runs and brought Delta along."""
    from pyspark.sql import SparkSession

    return _configured(SparkSession.builder).getOrCreate()


def _leave_errors_to_their_exceptions() -> None:
    """PySpark writes them to the terminal as well."""
    from pyspark.logger import PySparkLogger

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True


def _process(settings: Settings, jars: Sequence[Path], jvm: Sequence[str]) -> dict[str, str]:
    """How the driver runs: whole in this machine's own JVM, or with executors that fetch the jars."""
    options = {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.sql.warehouse.dir": str(settings.home / "spark-warehouse"),
        "spark.ui.showConsoleProgress": "false",
    }
    if not settings.spark_master.startswith("local"):
        return {
            **options,
            "spark.jars": ",".join(map(str, jars)),
            "spark.driver.extraJavaOptions": " ".join((*QUIET_JVM, *jvm)),
        }
    archive = [f"-XX:SharedArchiveFile={CLASS_ARCHIVE}"] if CLASS_ARCHIVE.exists() and not jvm else []
    return {
        **options,
        **LOCAL,
        "spark.driver.extraClassPath": ":".join(map(str, jars)),
        # All of its memory from the start: while it grows, it stops to clean up half as often again.
        "spark.driver.extraJavaOptions": " ".join(
            (*LOCAL_JVM, f"-Xms{settings.spark_driver_memory}", *archive, *jvm)
        ),
    }


def _configured(builder: "SparkSession.Builder") -> "SparkSession.Builder":
    for name, value in SESSION.items():
        builder = builder.config(name, value)
    return builder


def _storage(settings: Settings) -> dict[str, str]:
    """S3 through s3a, with the credentials that the rest of the platform uses."""
    if not settings.lake.startswith("s3://"):
        return {}
    options = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        options["spark.hadoop.fs.s3a.access.key"] = settings.aws_access_key_id
        options["spark.hadoop.fs.s3a.secret.key"] = settings.aws_secret_access_key.get_secret_value()
    if settings.aws_endpoint_url:
        options["spark.hadoop.fs.s3a.endpoint"] = settings.aws_endpoint_url
        options["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return options


# By the names under which PySpark asks for them.
ALWAYS_ASKED = (
    "functions",
    "PythonUtils",
    "PythonSQLUtils",
    "org.apache.spark.sql.functions",
    "org.apache.spark.sql.expressions.Window",
)


# Up to so many rows it takes longer to make code of a plan than to go through them without.
FEW_ROWS = 200_000
FOR_FEW = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # Nor is a plan of few rows worth a look at each of its stages, or a cluster's two hundred pieces.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}


def made_for(spark: "SparkSession", rows: int) -> AbstractContextManager[None]:
    """Plans made inside are for so many rows: those for few are gone through as they are."""
    return told(spark, FOR_FEW if rows <= FEW_ROWS else {})


def commit_says(
    spark: "SparkSession", app_id: str, batch: int | None, note: str
) -> AbstractContextManager[None]:
    """Commits made inside carry the note and, where a batch is given, its transaction identifier."""
    conf = {"spark.databricks.delta.commitInfo.userMetadata": note}
    if batch is not None:
        conf["spark.databricks.delta.write.txnAppId"] = app_id
        conf["spark.databricks.delta.write.txnVersion"] = str(batch)
    return told(spark, conf)


@contextmanager
def told(spark: "SparkSession", conf: Mapping[str, str]) -> Iterator[None]:
    """The session is set so inside, and as it was afterwards."""
    before = {name: spark.conf.get(name, None) for name in conf}
    for name, value in conf.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, was in before.items():
            if was is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, was)
