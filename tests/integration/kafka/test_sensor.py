"""The sensor that follows lag: one run where enough waits, none where it does not, and its reason for either."""

import time
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from data_platform.automation.kafka import kafka_sensor
from data_platform.connectors.base import SourceError
from data_platform.declarations import Lag
from data_platform.described import bronze_key
from data_platform.settings import Settings
from tests.integration.kafka.conftest import Topic, event


class Ticks:
    """The sensor's evaluations, its cursor kept by a daemon."""

    def __init__(self, *topics: Topic) -> None:
        self.topics = topics
        self.cursor = None
        self.instance = dg.DagsterInstance.ephemeral()

    def tick(self, **settings: object) -> dg.SensorResult:
        sensor = kafka_sensor([topic.table for topic in self.topics], self.topics[0].settings(**settings))
        result = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        self.cursor = result.cursor
        return result

    def run(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """A run of that request, as the daemon launches it."""
        self.instance.create_run_for_job(
            job_def=dg.define_asset_job("load").resolve(asset_graph=dg.AssetGraph.from_assets([])),
            status=status,
            tags={"dagster/run_key": request.run_key},
        )


def keys(result: dg.SensorResult) -> list[str]:
    return [request.run_key for request in result.run_requests or []]


def by_lag(topic: Topic, changes: int = 5, age: timedelta = timedelta(hours=1)) -> Topic:
    topic.declared(load=replace(topic.table.load, lag=Lag(changes, age)))
    return topic


def test_a_run_is_asked_for_where_enough_messages_wait(topic: Topic) -> None:
    ticks = Ticks(by_lag(topic))
    topic.send([event(number) for number in range(4)])
    quiet = ticks.tick()
    assert not quiet.run_requests
    assert quiet.skip_reason.skip_message == f"{topic.table.silver_name}: 4 messages wait"
    topic.send([event(4)], partition=1)
    (request,) = ticks.tick().run_requests
    assert request.asset_selection == [bronze_key(topic.table)]
    topic.load()
    assert ticks.tick().skip_reason.skip_message == f"{topic.table.silver_name}: 0 messages wait"


def test_a_message_that_waits_too_long_is_enough(topic: Topic) -> None:
    ticks = Ticks(by_lag(topic, 1_000, timedelta(minutes=10)))
    topic.send([event(1)])
    assert not ticks.tick().run_requests
    old = int((time.time() - 3600) * 1000)
    topic.send([event(2)], partition=1, timestamp=old)
    assert len(ticks.tick().run_requests) == 1


def test_one_position_asks_once_until_its_run_has_failed(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(by_lag(topic))
    topic.send([event(number) for number in range(9)])
    topic.load()
    topic.send([event(number) for number in range(9, 19)])
    (first,) = keys(ticks.tick())
    assert "left it where it was" in ticks.tick().skip_reason.skip_message
    monkeypatch.setattr("data_platform.automation.asked.FIRST_PAUSE", 0.0)
    (second,) = keys(ticks.tick())
    assert second != first


def test_a_tick_that_died_asks_for_the_same_run_again(topic: Topic) -> None:
    ticks = Ticks(by_lag(topic))
    topic.send([event(number) for number in range(9)])
    topic.load()
    topic.send([event(number) for number in range(9, 19)])
    once = keys(ticks.tick())
    ticks.cursor = None
    assert keys(ticks.tick()) == once


def test_a_position_that_was_taken_back_is_read_again(topic: Topic) -> None:
    ticks = Ticks(by_lag(topic))
    topic.send([event(number) for number in range(9)])
    topic.load()
    before = topic.lake.bronze(topic.table).position
    topic.send([event(number) for number in range(9, 19)])
    once = keys(ticks.tick())
    topic.load()
    topic.lake.bronze(topic.table).set_position(before)
    again = keys(Ticks(topic).tick())
    assert again
    assert again != once


def test_a_topic_made_again_is_reason_enough(topic: Topic) -> None:
    ticks = Ticks(by_lag(topic))
    topic.send([event(1)])
    topic.load()
    admin = topic.admin
    admin.delete_topics([topic.name])[topic.name].result(30)
    topic.server.create_topic(topic.name, 3)
    assert len(ticks.tick().run_requests) == 1


def test_a_tick_over_several_topics_is_quick(topic: Topic) -> None:
    topics = [by_lag(topic), *(by_lag(Topic(topic.server, topic.lake, 12)) for _ in range(3))]
    for each in topics:
        each.send([event(1)])
        each.load()
    ticks = Ticks(*topics)
    ticks.tick()
    began = time.process_time()
    ticks.tick()
    assert time.process_time() - began < 1


def test_an_outage_is_a_failed_tick_and_no_setting_a_reason_to_skip(topic: Topic, monkeypatch) -> None:
    monkeypatch.setattr("data_platform.automation.kafka.PATIENCE", timedelta(seconds=0.2))
    with pytest.raises(SourceError, match="KAFKA_BOOTSTRAP_SERVERS"):
        Ticks(topic).tick(kafka_bootstrap_servers="127.0.0.1:1")
    sensor = kafka_sensor([topic.table], Settings(_env_file=None, kafka_bootstrap_servers=None))
    skipped = sensor(dg.build_sensor_context())
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in skipped.skip_message
