"""Spark's load of the same topic: Structured Streaming, all that is there in one batch, into a Delta table.

It is given what makes it fast: a JVM that compiles well, two cores for eight partitions, and the shape of the values.
"""

import json
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as every Spark program writes it
from pyspark.sql.avro.functions import from_avro

from benchmarks.events import SCHEMA
from benchmarks.loads.job import Job, run
from benchmarks.tables import AVRO_EVENTS, table_named
from data_platform.declarations import SourceTable
from data_platform.lake.spark import DELTA, LOCAL, SESSION
from data_platform.settings import CHECKOUT, Settings
from data_platform.silver.conformed import spark_type

JARS = CHECKOUT / ".tools" / "spark-kafka"
# The zero byte and the schema's id in four.
FRAME = 5


def prepare(_: Job) -> None:
    """The session, and the classes that a first write loads."""
    started().range(1).write.format("delta").save(f"{Settings().lake}/warm")


def started() -> SparkSession:
    settings = Settings()
    jars = [*settings.spark_jars.glob("*.jar"), *JARS.glob("*.jar")]
    process = {"spark.driver.extraClassPath": ":".join(map(str, jars)), "spark.driver.memory": "4g"}
    builder = SparkSession.builder.appName("peer").master(settings.spark_master)
    for name, value in {**SESSION, **DELTA, **LOCAL, **process}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def load(job: Job) -> None:
    settings, table = Settings(), table_named(job.table)
    stream = started().readStream.format("kafka").options(**client(settings)).option("subscribe", table.reads)
    read = events(stream.option("startingOffsets", "earliest").load(), table)
    writing = read.writeStream.format("delta").trigger(availableNow=True)
    written = writing.option("checkpointLocation", f"{settings.lake}/checkpoint").start(
        f"{settings.lake}/events"
    )
    written.awaitTermination()


def events(messages: DataFrame, table: SourceTable) -> DataFrame:
    """The values in their columns, and beside them where each message lies."""
    shape = ", ".join(f"`{column.name}` {spark_type(column.type)}" for column in table.columns)
    value = (
        from_avro(F.expr(f"substring(value, {FRAME + 1})"), json.dumps(SCHEMA))
        if table.name == AVRO_EVENTS.name
        else F.from_json(F.col("value").cast("string"), shape)
    )
    place = (F.col("key").cast("string").alias("message_key"), "topic", "partition", "offset", "timestamp")
    return messages.select(value.alias("event"), *place).select("event.*", *place[1:], "message_key")


def client(settings: Settings) -> dict[str, str]:
    assert settings.kafka_password is not None
    login = f'username="{settings.kafka_username}" password="{settings.kafka_password.get_secret_value()}"'
    return {
        "kafka.bootstrap.servers": str(settings.kafka_bootstrap_servers),
        "kafka.security.protocol": settings.kafka_security_protocol,
        "kafka.sasl.mechanism": settings.kafka_sasl_mechanism,
        "kafka.sasl.jaas.config": f"org.apache.kafka.common.security.scram.ScramLoginModule required {login};",
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": str(Path(str(settings.kafka_ca_location))),
    }


if __name__ == "__main__":
    run(load, prepare)
