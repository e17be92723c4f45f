"""A topic that changes under the loads, a broker or a registry that is gone, and loads that are killed or meet."""

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewPartitions

from data_platform.bronze.assets import bronze_asset
from data_platform.bronze.load import load
from data_platform.connectors.base import Batch, CredentialsRefused, Offer, SourceError
from data_platform.declarations import STRING, Column, Concealed, Mask, Personal
from sandbox.certificate import certificate_in
from sandbox.children import free_port
from tests.integration.kafka.conftest import COLUMNS, Topic, event
from tests.presenting import presenting

MANY = 200


def until_gone(topic: Topic, offset: int, partition: int = 0) -> None:
    place = TopicPartition(topic.name, partition, offset)
    admin = topic.admin
    assert admin.delete_records([place])[place].result(30).low_watermark == offset


def checked(topic: Topic) -> dict[str, dg.AssetCheckEvaluation]:
    """What Dagster shows of the checks that a load itself makes."""
    asset = bronze_asset(topic.table, topic.settings())
    ended = dg.materialize([asset], raise_on_error=False)
    return {check.check_name: check for check in ended.get_asset_check_evaluations()}


def test_offsets_that_retention_removed_are_told_until_somebody_took_note(topic: Topic) -> None:
    topic.send([event(number) for number in range(10)])
    topic.load()
    topic.send([event(number) for number in range(10, 40)])
    until_gone(topic, 30)
    check = checked(topic)["no_gap_in_offsets"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert "partition 0: 20 offsets (10 to 29)" in check.metadata["what"].value
    assert topic.landed() == sorted(f"e{number}" for number in (*range(10), *range(30, 40)))
    # A run that ended before it reported would hide it else.
    assert not checked(topic)["no_gap_in_offsets"].passed
    bronze = topic.lake.bronze(topic.table)
    bronze.set_position({**bronze.position, "gaps": {}})
    assert checked(topic)["no_gap_in_offsets"].passed
    assert topic.load().receipt.offered == 0


def test_a_first_load_begins_where_the_topic_does(topic: Topic) -> None:
    topic.send([event(number) for number in range(10)])
    until_gone(topic, 4)
    loaded = topic.load()
    assert (loaded.receipt.offered, list(loaded.gaps)) == (6, [])


def test_what_was_compacted_away_is_no_loss(topic: Topic) -> None:
    config = {"cleanup_policy": "compact", "segment_ms": "100", "min_cleanable_dirty_ratio": "0.01"}
    topic = Topic(topic.server, topic.lake, 1, **config)
    for round_ in range(3):
        topic.send([event(number, quantity=round_) for number in range(5)])
    waited = threading.Event()
    for _ in range(200):
        # Another message closes the segment that is compacted.
        topic.send([event(99)])
        if sum(1 for value in everything(topic) if value["event_id"] == "e0") == 1:
            break
        waited.wait(0.1)
    loaded = topic.load()
    assert loaded.receipt.adds_up
    assert loaded.receipt.empty > 0
    assert list(loaded.gaps) == []
    newest = {row["event_id"]: row["quantity"] for row in topic.rows()}
    assert newest == {**{f"e{number}": 2 for number in range(5)}, "e99": 99}


def everything(topic: Topic) -> list[dict]:
    """What a reader from the beginning is given now, into a lake of its own."""
    offer = topic.connector().offer(topic.table, Nothing())
    return [row for part in offer.parts for batch in part.batches for row in batch.rows.to_pylist()]


class Nothing:
    """A table that holds nothing."""

    position = None


def test_partitions_that_are_added_are_read_from_their_beginning(topic: Topic) -> None:
    topic.send([event(1)])
    topic.load()
    admin = topic.admin
    for added in admin.create_partitions([NewPartitions(topic.name, 5)]).values():
        added.result(30)
    topic.send([event(2)], partition=4)
    loaded = topic.load()
    assert topic.landed() == ["e1", "e2"]
    assert any("new partitions (3, 4)" in note for note in loaded.notes)


def test_a_topic_that_was_made_again_is_read_from_its_beginning_in_a_new_era(topic: Topic) -> None:
    topic.send([event(number, quantity=1) for number in range(3)], timestamp=1_770_000_000_000)
    topic.load()
    admin = topic.admin
    admin.delete_topics([topic.name])[topic.name].result(30)
    topic.server.create_topic(topic.name, 3)
    # More of it than there was, so that offsets alone would not tell.
    topic.send([event(number, quantity=2) for number in range(5)], timestamp=1_760_000_000_000)
    loaded = topic.load()
    assert loaded.receipt.says.startswith("5 offered = 5 landed")
    assert any("deleted and made again" in note for note in loaded.notes)
    newest = {row["event_id"]: row["quantity"] for row in topic.rows()}
    assert newest == {f"e{number}": 2 for number in range(5)}
    assert topic.load().receipt.offered == 0


def test_a_topic_made_again_and_still_empty_is_noticed_once(topic: Topic) -> None:
    topic.send([event(1)])
    topic.load()
    admin = topic.admin
    admin.delete_topics([topic.name])[topic.name].result(30)
    topic.server.create_topic(topic.name, 3)
    assert topic.load().notes
    assert not topic.load().notes


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_killed_load_loses_and_doubles_nothing(topic: Topic, small_pages: None, after: int) -> None:
    for part in range(3):
        topic.send([event(number) for number in range(part, 60, 3)] + [b"poison"], partition=part)
    topic.load_killed(after)
    topic.load(commit_rows=7)
    assert topic.landed() == sorted(f"e{number}" for number in range(60))
    assert set(topic.quarantined()) == {topic.origin(part, 20) for part in range(3)}


def test_two_loads_at_once_land_each_message_once(topic: Topic, small_pages: None) -> None:
    topic.send([event(number) for number in range(50)] + [b"poison"])
    met = Meeting(topic)
    load(topic.table, met, topic.lake, 10)
    assert met.receipt.landed == 50
    assert topic.landed() == sorted(f"e{number}" for number in range(50))
    assert len(topic.quarantined()) == 1


class Meeting:
    """A connector in whose first read another load of the table is run to its end."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.receipt = None
        self.connector = topic.connector()

    def offer(self, table, landed) -> Offer:
        offer = self.connector.offer(table, landed)
        return replace(offer, parts=(replace(part, batches=self._met(part.batches)) for part in offer.parts))

    def _met(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield batch
            if self.receipt is None:
                self.receipt = self.topic.load().receipt


def test_a_load_goes_on_through_a_restart_of_the_broker(topic: Topic, small_pages: None) -> None:
    topic.send([event(number) for number in range(MANY)])
    restart = Restarting(topic)
    loaded = load(topic.table, restart, topic.lake, 10)
    assert restart.was_restarted
    assert loaded.receipt.landed == MANY
    assert topic.landed() == sorted(f"e{number}" for number in range(MANY))


class Restarting:
    """A connector in whose read the broker is killed and started again."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.connector = topic.connector(kafka_patience=timedelta(seconds=60))
        self.was_restarted = False

    def offer(self, table, landed) -> Offer:
        offer = self.connector.offer(table, landed)
        return replace(
            offer, parts=(replace(part, batches=self._through(part.batches)) for part in offer.parts)
        )

    def _through(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield batch
            if not self.was_restarted:
                self.topic.server.stop(signal.SIGKILL)
                self.topic.server.start()
                self.was_restarted = True


def test_a_registry_that_is_down_makes_no_poison(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_platform.connectors.http.FIRST_WAIT", 0.01)
    avro = topic.avro({"type": "record", "name": "Event", "fields": [{"name": "event_id", "type": "string"}]})
    topic.send([avro.value({"event_id": "e1"}), event(2)])
    topic.server.registry.stop()
    try:
        with pytest.raises(SourceError, match="the schema registry could not be read"):
            topic.load(http_retries=1)
        assert topic.quarantined() == {}
        with pytest.raises(SourceError, match="SCHEMA_REGISTRY_URL is not set"):
            topic.load(schema_registry_url=None)
        # Any web server says that it has no such page.
        with pytest.raises(SourceError, match="SCHEMA_REGISTRY_URL is the address"):
            topic.server.registry.start()
            topic.load(schema_registry_url=topic.server.registry.url + "/elsewhere")
    finally:
        topic.server.registry.start()
    assert topic.load().receipt.landed == 2
    assert topic.landed() == ["e1", "e2"]


def test_a_refused_login_says_which_settings_to_look_at(topic: Topic, caplog) -> None:
    topic.send([event(1)])
    with pytest.raises(CredentialsRefused, match="KAFKA_USERNAME and KAFKA_PASSWORD") as refused:
        topic.load(kafka_password="a wrong one")
    with pytest.raises(CredentialsRefused, match="set KAFKA_USERNAME"):
        topic.load(kafka_username=None)
    for said in (str(refused.value), caplog.text):
        assert "a wrong one" not in said
        assert topic.server.password not in said


def test_a_certificate_that_nobody_vouches_for_is_said_so(topic: Topic, tmp_path) -> None:
    other = certificate_in(tmp_path).authority
    with pytest.raises(SourceError, match="KAFKA_CA_LOCATION"):
        topic.load(kafka_ca_location=other)
    with pytest.raises(SourceError, match="is not there; correct the setting"):
        topic.load(kafka_ca_location=tmp_path / "none.pem")


def test_a_certificate_that_has_expired_is_said_so(topic: Topic, tmp_path) -> None:
    expired = certificate_in(tmp_path, timedelta(hours=-1))
    with presenting(expired) as address, pytest.raises(SourceError, match="its certificate has expired"):
        topic.load(kafka_bootstrap_servers=address, kafka_ca_location=expired.authority)
    # One that is valid is not at fault, whatever else is.
    valid = certificate_in(tmp_path / "valid")
    with presenting(valid) as address, pytest.raises(SourceError, match="gave no answer for"):
        asked = {"kafka_bootstrap_servers": address, "kafka_ca_location": valid.authority}
        topic.load(kafka_patience=timedelta(seconds=1), **asked)


def test_brokers_that_can_not_be_reached_are_waited_for_and_then_named(topic: Topic) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(SourceError, match=rf"{nobody} .KAFKA_BOOTSTRAP_SERVERS. gave no answer for"):
        topic.load(kafka_bootstrap_servers=nobody, kafka_patience=timedelta(seconds=1))


def test_a_topic_that_is_not_there_is_named(topic: Topic) -> None:
    topic.declared(reads="no_such_topic")
    with pytest.raises(SourceError, match="has no topic no_such_topic"):
        topic.load()


def test_a_table_that_conceals_a_field_needs_a_key(topic: Topic) -> None:
    token = Column("token", STRING, personal=Personal.CARD, lands=Concealed("number", Mask.TOKEN))
    topic.declared(columns=(*COLUMNS, token))
    with pytest.raises(SourceError, match="TOKEN_KEY is not set"):
        topic.load()


def test_what_was_read_is_reported_to_the_group(topic: Topic) -> None:
    topic.send([event(1), event(2)])
    topic.load()
    asked = ConsumerGroupTopicPartitions(f"data-platform.{topic.name}")
    admin = topic.admin
    (told,) = (future.result(30) for future in admin.list_consumer_group_offsets([asked]).values())
    assert {place.partition: place.offset for place in told.topic_partitions}[0] == 2


def test_a_position_that_was_taken_back_lands_nothing_twice(topic: Topic) -> None:
    topic.send([event(1), b"poison", event(2)])
    topic.load()
    topic.lake.bronze(topic.table).set_position({})
    topic.send([event(3)])
    assert topic.load().receipt.says == "4 offered = 1 landed + 3 overlap + 0 quarantined"
    assert topic.landed() == ["e1", "e2", "e3"]
    assert json.dumps(topic.lake.bronze(topic.table).position["offsets"]) == '{"0": 4, "1": 0, "2": 0}'
