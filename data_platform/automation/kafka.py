"""The sensor that follows the topics' lag: one run for the tables of which enough waits, or some waits too long.

What waits is what lies between the ends of the topic and the offsets in bronze's newest commit; nothing of it is kept
here. A run that fails leaves the table where it was, and is asked for again after a pause that grows.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

import dagster as dg

from data_platform.automation.asked import Due, one_run, version_of
from data_platform.connectors.kafka.cluster import Cluster, Place, Topic
from data_platform.connectors.kafka.position import Reached
from data_platform.declarations import Lag, SourceTable, Stream
from data_platform.described import bronze_key
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
from data_platform.settings import Settings

KAFKA_SENSOR = "kafka_sensor"
SECONDS_BETWEEN = 15
# A tick that waits longer holds up the other sensors; the next one asks again.
PATIENCE = timedelta(seconds=10)


def kafka_sensor(tables: Sequence[SourceTable], settings: Settings) -> dg.SensorDefinition:
    followed = {
        table: table.load.lag
        for table in tables
        if isinstance(table.load, Stream) and table.load.messages and table.load.lag
    }

    @dg.sensor(
        name=KAFKA_SENSOR,
        target=dg.AssetSelection.assets(*(bronze_key(table) for table in followed)),
        minimum_interval_seconds=SECONDS_BETWEEN,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads a topic's table when its lag is above what the table declares, in messages or in age.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if not settings.kafka_bootstrap_servers:
            return dg.SkipReason("KAFKA_BOOTSTRAP_SERVERS is not set, and no sandbox is up")
        return one_run(context, _lags(followed, settings))

    return sensor


def _lags(followed: Mapping[SourceTable, Lag], settings: Settings) -> dict[str, Due]:
    """Of all tables, by a few questions to the cluster together and one look at each table's newest commit."""
    cluster = Cluster(settings.model_copy(update={"kafka_patience": PATIENCE}))
    topics = cluster.topics([table.reads for table in followed])
    ends = cluster.ends(topics.values())
    since: dict[Place, int] = {}
    for age in {lag.age for lag in followed.values()}:
        alike = [topics[table.reads] for table, lag in followed.items() if lag.age == age]
        since |= cluster.sent_since(alike, time.time() - age.total_seconds())
    lake = lake_of(settings)
    due = {}
    for table, lag in followed.items():
        held = lake.bronze(table)
        why, says = _lag(lag, topics[table.reads], held, ends, since)
        due[table.silver_name] = Due(why, version_of(held), (bronze_key(table),), says)
    return due


def _lag(
    lag: Lag, topic: Topic, held: LakeTable, ends: Mapping[Place, int], since: Mapping[Place, int]
) -> tuple[str, str]:
    """Why the table is due, if it is, and what waits."""
    before = Reached.of(held.position) if held.position else Reached(topic.id, 1)
    if before.topic_id != topic.id:
        return f"{topic.name} was deleted and made again", ""
    waiting, is_old = 0, False
    for part in topic.partitions:
        reached, end = before.offsets.get(part, 0), ends[topic.name, part]
        waiting += max(0, end - reached)
        newer = since[topic.name, part]
        # -1: all of its messages are older.
        is_old |= end > reached and (newer < 0 or newer > reached)
    says = f"{waiting:,} messages wait"
    if waiting >= lag.changes:
        return f"{says}, and {lag.changes:,} are enough", says
    if is_old:
        return f"{says}, some for more than {lag.age}", says
    return "", says
