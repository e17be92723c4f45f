"""The sensor that follows the topics' lag: one run for a table of which enough waits, or of which some waits too long.

What waits is what lies between the ends of the topic and the offsets in bronze's newest commit; nothing of it is kept
here. A run that fails leaves the table where it was, and is asked for again after a pause that grows.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256

import dagster as dg

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
FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0


@dataclass(frozen=True)
class _Asked:
    """The run that was asked for last: by its key, from which position, how often from there, and when."""

    key: str
    position: str
    times: int
    at: float

    @property
    def pause(self) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** (self.times - 1)))


@dataclass(frozen=True)
class _Lagging:
    """A table that may have to be loaded: from which position, and why (empty: it need not)."""

    position: str
    version: str
    why: str
    says: str


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
        return _tick(context, followed, settings)

    return sensor


def _tick(
    context: dg.SensorEvaluationContext, followed: Mapping[SourceTable, Lag], settings: Settings
) -> dg.SensorResult:
    asked = {name: _Asked(**said) for name, said in json.loads(context.cursor or "{}").items()}
    requests, reasons = [], []
    for table, lagging in _lags(followed, settings).items():
        before = asked.get(table.name)
        if not lagging.why:
            reasons.append(f"{table.name}: {lagging.says}")
        elif before and _is_on_its_way(context.instance, before):
            reasons.append(f"{table.name}: its run is on its way")
        elif before and before.position == lagging.position and time.time() - before.at < before.pause:
            reasons.append(
                f"{table.name}: its last run left it where it was; another follows within the hour"
            )
        else:
            again = before.times if before and before.position == lagging.position else 0
            # A tick that died asks by the same key again; the same position at another time has another version.
            key = f"{table.silver_name}:{lagging.version}:{again}"
            asked[table.name] = _Asked(key, lagging.position, again + 1, time.time())
            requests.append(dg.RunRequest(run_key=key, asset_selection=[bronze_key(table)]))
            context.log.info("%s: %s", table.silver_name, lagging.why)
    cursor = json.dumps({name: asdict(said) for name, said in asked.items()})
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=cursor)
    return dg.SensorResult(skip_reason=dg.SkipReason("; ".join(reasons)), cursor=cursor)


def _is_on_its_way(instance: dg.DagsterInstance, asked: _Asked) -> bool:
    runs = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/run_key": asked.key}))
    return any(not run.is_finished for run in runs)


def _lags(followed: Mapping[SourceTable, Lag], settings: Settings) -> dict[SourceTable, _Lagging]:
    """Of all tables, by a few questions to the cluster together and one look at each table's newest commit."""
    cluster = Cluster(settings.model_copy(update={"kafka_patience": PATIENCE}))
    topics = cluster.topics([table.reads for table in followed])
    ends = cluster.ends(topics.values())
    since: dict[Place, int] = {}
    for age in {lag.age for lag in followed.values()}:
        alike = [topics[table.reads] for table, lag in followed.items() if lag.age == age]
        since |= cluster.sent_since(alike, time.time() - age.total_seconds())
    lake = lake_of(settings)
    return {
        table: _lag(lag, topics[table.reads], lake.bronze(table), ends, since)
        for table, lag in followed.items()
    }


def _lag(
    lag: Lag, topic: Topic, held: LakeTable, ends: Mapping[Place, int], since: Mapping[Place, int]
) -> _Lagging:
    known = sha256(json.dumps(held.position, sort_keys=True).encode()).hexdigest()[:16]
    version = _version(held)
    before = Reached.of(held.position) if held.position else Reached(topic.id, 1)
    if before.topic_id != topic.id:
        return _Lagging(known, version, f"{topic.name} was deleted and made again", "")
    waiting, is_old = 0, False
    for part in topic.partitions:
        reached, end = before.offsets.get(part, 0), ends[topic.name, part]
        waiting += max(0, end - reached)
        newer = since[topic.name, part]
        # -1: all of its messages are older.
        is_old |= end > reached and (newer < 0 or newer > reached)
    says = f"{waiting:,} messages wait"
    if waiting >= lag.changes:
        return _Lagging(known, version, f"{says}, and {lag.changes:,} are enough", says)
    if is_old:
        return _Lagging(known, version, f"{says}, some for more than {lag.age}", says)
    return _Lagging(known, version, "", says)


def _version(held: LakeTable) -> str:
    """Which state of which table; one that is not there yet may have been there before, under the same name."""
    if held.delta is None:
        return f"none at {time.time_ns()}"
    return f"{held.delta.metadata().id}:{held.version}"
