"""S3 tells of files through SQS, and a sensor asks for one run of a batch of them: none lost, none asked for twice."""

import json
from collections.abc import Iterator
from datetime import date
from zlib import crc32

import dagster as dg
import pytest

from data_platform.automation import landing
from data_platform.automation.landing import landing_sensor
from data_platform.connectors.base import SourceError
from data_platform.settings import Settings
from data_platform.sources import rest_api, salesforce
from sandbox.landing.rates import rates_on
from sandbox.landing.zone import LandingBucket, LocalAws, land_rates

TABLES = (*salesforce.TABLES, *rest_api.TABLES)
DAY = date(2026, 6, 5)
RATES, ACCOUNTS = (
    dg.AssetKey(["bronze", "rest_api", "exchange_rates"]),
    dg.AssetKey(["bronze", "salesforce", "accounts"]),
)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


class Queue:
    """A bucket that tells a queue of its new objects, and the sensor's ticks."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.zone = LandingBucket(aws, name)
        self.sqs = aws.client("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        self.zone.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=told)
        self.cursor = None

    def settings(self, **more) -> Settings:
        given = {name.lower(): value for name, value in self.zone.settings().items()}
        usual = {"landing_queue_url": self.url, "salesforce_routes": {"accounts": "appflow"}}
        return Settings(_env_file=None, **(given | usual | more))

    def tick(self, *, dies: bool = False) -> dg.SensorResult:
        """One evaluation; the daemon keeps its cursor once the runs are asked for, unless it dies before that."""
        sensor = landing_sensor(TABLES, self.settings())
        result = sensor(dg.build_sensor_context(cursor=self.cursor))
        if not dies:
            self.cursor = result.cursor
        return result

    def waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        said = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(said[name]) for name in names)


@pytest.fixture
def queue(aws, tmp_path) -> Queue:
    queue = Queue(aws, f"queue-{crc32(tmp_path.name.encode())}")
    queue.tick()
    queue.tick()
    return queue


def test_new_files_ask_for_one_run_of_the_tables_that_they_belong_to(queue):
    land_rates(queue.zone, DAY, rates_on(DAY))
    land_rates(queue.zone, DAY, rates_on(DAY), base="EUR")
    queue.zone.put("raw/salesforce/Account/2026/06/05/part+0 of 1.csv", b"Id\n1\n")
    (run,) = queue.tick().run_requests
    assert run.asset_selection == [RATES, ACCOUNTS]
    assert queue.tick().run_requests == []


def test_messages_are_deleted_only_after_their_run_was_asked_for(queue):
    land_rates(queue.zone, DAY, rates_on(DAY))
    assert len(queue.tick().run_requests) == 1
    assert queue.waiting() == 1
    queue.tick()
    assert queue.waiting() == 0


def test_a_tick_that_dies_leaves_its_messages_to_a_later_one(queue, monkeypatch):
    monkeypatch.setattr(landing, "SECONDS_HIDDEN", 0)
    monkeypatch.setattr(landing, "BATCHES_A_TICK", 1)
    land_rates(queue.zone, DAY, rates_on(DAY))
    (lost,) = queue.tick(dies=True).run_requests
    (run,) = queue.tick().run_requests
    assert run.run_key == lost.run_key


def test_a_message_that_is_shown_again_asks_for_no_second_run(queue, monkeypatch):
    monkeypatch.setattr(landing, "SECONDS_HIDDEN", 0)
    monkeypatch.setattr(landing, "BATCHES_A_TICK", 1)
    land_rates(queue.zone, DAY, rates_on(DAY))
    assert len(queue.tick().run_requests) == 1
    known = json.loads(queue.cursor)
    queue.cursor = json.dumps(known | {"handles": []})
    again = queue.tick()
    assert (again.run_requests, again.skip_reason.skip_message) == ([], "no message tells of a new file")
    queue.tick()
    assert queue.waiting() == 0


def test_files_of_tables_that_are_read_another_way_start_nothing(queue):
    queue.zone.put("raw/salesforce/Lead/2026/06/05/part-0.csv", b"Id\n1\n")
    assert queue.tick().run_requests == []
    queue.tick()
    assert queue.waiting() == 0


def test_a_message_that_is_not_from_s3_is_left_to_the_queue(queue):
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody="hello")
    assert queue.tick().run_requests == []
    queue.tick()
    assert queue.waiting() == 1


def test_many_messages_are_one_run_and_the_cursor_stays_small(queue):
    for number in range(35):
        queue.zone.put(f"raw/api-data/exchange_rates/2026/06/05/{number}.json", b"{}")
    assert len(queue.tick().run_requests) == 1
    queue.tick()
    assert (queue.waiting(), queue.tick().skip_reason.skip_message) == (0, "the queue is empty")
    assert len(json.loads(queue.cursor)["known"]) <= landing.IDS_REMEMBERED


def test_a_queue_that_is_gone_is_a_failed_tick_that_names_the_setting(queue):
    queue.sqs.delete_queue(QueueUrl=queue.url)
    with pytest.raises(SourceError, match=r"LANDING_QUEUE_URL"):
        queue.tick()


def test_without_a_queue_there_is_no_sensor():
    assert landing_sensor(TABLES, Settings(_env_file=None)) is None
