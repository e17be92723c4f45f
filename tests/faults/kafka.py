"""Kafka: loads and the continuous process killed at every point, and all that brokers, topics and registries do."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import dagster as dg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewPartitions

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.streaming.process import stream
from sandbox.certificate import certificate_in
from sandbox.kafka.server import KafkaServer
from tests.faults.chain import Run
from tests.faults.disturbed import Meanwhile
from tests.faults.kafka_source import PARTITIONS, KafkaTopic
from tests.faults.kills_sources import COMMIT, POINTS, Point
from tests.faults.launcher import KillAt, prepare
from tests.faults.launcher import patch as patched
from tests.faults.loads import LoadOrder, Loads
from tests.faults.result import Result
from tests.faults.two_loads import COMMIT as MEETING
from tests.faults.two_loads import together
from tests.presenting import presenting

MESSAGES = 90
BURST = 500_000


@dataclass(frozen=True)
class KillAfterQuarantine:
    """Dies when the first commit of quarantine stands, and that of bronze which it goes before does not."""

    def plant(self) -> None:
        def arming(original: Callable[..., Any], *args: Any) -> Any:
            KillAt(COMMIT, after=True).plant()
            return original(*args)

        patched("data_platform.bronze.load:_rejected_rows", arming)


OF_TOPICS = (
    Point(
        "the ends fixed, nothing assigned", KillAt("data_platform.connectors.kafka.cluster:Cluster.consumer")
    ),
    Point("asking the registry", KillAt("data_platform.connectors.kafka.registry:Registry.schema")),
    Point("quarantine committed, bronze not", KillAfterQuarantine()),
    Point(
        "committed, its group not told",
        KillAt("data_platform.connectors.kafka.cluster:Cluster.report"),
        committed=1,
    ),
)


def run() -> list[Result]:
    with KafkaServer() as server, TemporaryDirectory(prefix="faults-") as folder:
        topic, home = KafkaTopic(server), Path(folder)
        return [
            *(killed(topic, point, home / f"kill-{number}") for number, point in enumerate(kill_points())),
            *(met(topic, trouble, home / f"trouble-{number}") for number, trouble in enumerate(TROUBLES)),
            at_once(topic, home / "at-once"),
            killed_while_following(topic, home / "following"),
        ]


def kill_points() -> list[Point]:
    """Those of any source, where a commit of quarantine comes in between, and a topic's own."""
    by_files = {"files written, not committed", "the second batch's files written, not committed",
                "committed, and the load still goes on"}  # fmt: skip
    return [*(point for point in POINTS if point.name not in by_files), *OF_TOPICS]


def killed(topic: KafkaTopic, point: Point, home: Path) -> Result:
    """The first load and a later one, each killed and run again."""
    result = Result(f"kafka: {point.name}")
    topic.begin()
    loads = Loads(home, topic)
    for _ in range(2):
        topic.send(MESSAGES)
        loads.must_be_killed(point.kill)
        result.kills += 1
        loads.must_run()
        result.difference += topic.differ(loads.lake)
    loads.must_run()
    result.difference += topic.differ(loads.lake)
    return result


def at_once(topic: KafkaTopic, home: Path) -> Result:
    result = Result("kafka: two loads at once")
    topic.begin()
    loads = Loads(home, topic)
    topic.send(MESSAGES)
    together(loads, MEETING, result)
    loads.must_run()
    result.difference = topic.differ(loads.lake)
    return result


def killed_while_following(topic: KafkaTopic, home: Path, kills: int = 4) -> Result:
    """The continuous process, killed without a word while messages are sent, at whatever it is doing."""
    result = Result("kafka: the continuous process, at any moment")
    topic.begin()
    home.mkdir()
    lake = Lake(str(home / "lake"))
    environment = {"DATA_PLATFORM_HOME": str(home), "LAKE_URI": lake.uri, "COMMIT_ROWS": "10",
                   "STREAM_COMMIT_EVERY": "00:00:00.05", **topic.settings()}  # fmt: skip
    for number in range(kills):
        order = LoadOrder(topic.table, environment, home / f"run-{number}.log", topic.small)
        following = Run(partial(follow, order), order.output)
        topic.send(MESSAGES)
        landed = Landing(lake, topic)
        landed.wait(following)
        topic.send(MESSAGES)
        following.kill()
        result.kills += 1
    Here(topic, lake).load()
    result.difference = topic.differ(lake)
    return result


def follow(order: LoadOrder) -> None:
    """The whole life of a forked process."""
    prepare(order.environment, order.output, order.faults)
    stream([order.table], Settings(_env_file=None), dg.DagsterInstance.ephemeral())


class Landing:
    """Something more in bronze than when this was made."""

    def __init__(self, lake: Lake, topic: KafkaTopic) -> None:
        self.bronze = lake.bronze(topic.table)
        self.before = self.bronze.fresh().batch

    def wait(self, following: Run) -> None:
        pause = threading.Event()
        for _ in range(1_200):
            if self.bronze.fresh().batch > self.before:
                return
            if following.process.exitcode is not None:
                break
            pause.wait(0.05)
        raise AssertionError(f"the continuous process landed nothing: {following.output.read_text()[-2000:]}")


class Here:
    """Loads in this process, into a lake; every batch is a commit of its own."""

    def __init__(self, topic: KafkaTopic, lake: Lake) -> None:
        self.topic = topic
        self.lake = lake

    def load(self, meanwhile: Callable[[], object] | None = None, **settings: Any) -> Loaded:
        with patch.dict(os.environ, self.topic.settings()):
            usual = {"kafka_patience": timedelta(seconds=60)}
            chosen = Settings(_env_file=None, **(usual | settings))
        connector = Meanwhile(connector_for(self.topic.table, chosen), meanwhile)
        return load(self.topic.table, connector, self.lake, commit_rows=1)

    def fails(self, kind: type[Exception], says: str, **settings: Any) -> None:
        try:
            self.load(**settings)
        except kind as error:
            if says not in str(error):
                raise AssertionError(f"the error does not say {says!r}: {error}") from None
        else:
            raise AssertionError(f"the load met no {kind.__name__}")


@dataclass(frozen=True)
class Trouble:
    """What happens to a topic, between or in the middle of loads."""

    name: str
    case: Callable[[KafkaTopic, Here], None]


def met(topic: KafkaTopic, trouble: Trouble, home: Path) -> Result:
    result = Result(f"kafka: {trouble.name}")
    topic.begin()
    here = Here(topic, Lake(str(home / "lake")))
    topic.send(MESSAGES)
    with patch("data_platform.connectors.kafka.reading.PAGE_MESSAGES", 7):
        trouble.case(topic, here)
        topic.send(MESSAGES)
        loaded = here.load()
    if not loaded.receipt.adds_up:
        result.trouble.append(f"the receipt does not add up: {loaded.receipt.says}")
    result.difference = topic.differ(here.lake)
    return result


def broker_restarted(topic: KafkaTopic, here: Here) -> None:
    def restart() -> None:
        topic.server.stop(signal.SIGKILL)
        topic.server.start()

    here.load(restart)


def registry_down(topic: KafkaTopic, here: Here) -> None:
    topic.server.registry.stop()
    try:
        here.fails(SourceError, "the schema registry could not be read", http_retries=1)
    finally:
        topic.server.registry.start()


def wrong_password(topic: KafkaTopic, here: Here) -> None:
    here.fails(CredentialsRefused, "KAFKA_PASSWORD", kafka_password="a wrong one")


def unknown_certificate(topic: KafkaTopic, here: Here) -> None:
    with TemporaryDirectory() as folder:
        here.fails(SourceError, "KAFKA_CA_LOCATION", kafka_ca_location=certificate_in(Path(folder)).authority)


def expired_certificate(topic: KafkaTopic, here: Here) -> None:
    with TemporaryDirectory() as folder:
        expired = certificate_in(Path(folder), timedelta(hours=-1))
        with presenting(expired) as address:
            asked = {"kafka_bootstrap_servers": address, "kafka_ca_location": expired.authority}
            here.fails(SourceError, "its certificate has expired", **asked)


def others_in_our_group(topic: KafkaTopic, here: Here) -> None:
    """Others subscribe by the name of our group, and it is rebalanced in the middle of a load."""
    group = {"group.id": f"data-platform.{topic.topic}", "auto.offset.reset": "earliest"}
    others = [Consumer({**topic.server.client(), **group}) for _ in range(2)]

    def join() -> None:
        for other in others:
            other.subscribe([topic.topic])
            other.poll(3)

    try:
        here.load(join)
    finally:
        for other in others:
            other.close()


def large_message(topic: KafkaTopic, here: Here) -> None:
    topic.send_large(5_000_000)
    here.load()


def retention_ran_past(topic: KafkaTopic, here: Here) -> None:
    here.load()
    (read,) = (
        offset for part, offset in here.lake.bronze(topic.table).position["offsets"].items() if part == "0"
    )
    topic.send(MESSAGES)
    gone = TopicPartition(topic.topic, 0, read + 10)
    admin = topic.server.admin()
    admin.delete_records([gone])[gone].result(30)
    for place in range(read, read + 10):
        topic.sent.rows.pop(f"{topic.topic}/0/{place}", None)
        topic.sent.poison.pop(f"{topic.topic}/0/{place}", None)
    gaps = here.load().gaps
    if len(gaps) != 1 or "10 offsets" not in gaps[0]:
        raise AssertionError(f"ten offsets are gone, and the load says {gaps}")


def partitions_added(topic: KafkaTopic, here: Here) -> None:
    here.load()
    admin = topic.server.admin()
    for added in admin.create_partitions([NewPartitions(topic.topic, PARTITIONS + 2)]).values():
        added.result(30)


def made_again(topic: KafkaTopic, here: Here) -> None:
    here.load()
    topic.begin_again()


def burst(topic: KafkaTopic, here: Here) -> None:
    with patch("data_platform.connectors.kafka.reading.PAGE_MESSAGES", 10_000):
        topic.send(BURST, poison_in=100)
        here.load()


TROUBLES = (
    Trouble("the broker killed and started in mid-read", broker_restarted),
    Trouble("the registry down", registry_down),
    Trouble("a wrong password", wrong_password),
    Trouble("a certificate that nobody vouches for", unknown_certificate),
    Trouble("a certificate that has expired", expired_certificate),
    Trouble("others join the group", others_in_our_group),
    Trouble("a message of 5 MB", large_message),
    Trouble("retention ran past the position", retention_ran_past),
    Trouble("partitions added", partitions_added),
    Trouble("the topic deleted and made again", made_again),
    Trouble("a burst of half a million, one poisoned in a hundred", burst),
)
