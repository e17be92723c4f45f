"""A topic that is sent to, and the truth of it: what bronze and its quarantine must hold at each place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from itertools import count
from typing import Any

import fastavro
from confluent_kafka import Producer

from data_platform.declarations import (
    DECIMAL,
    INTEGER,
    ON_CHANGE,
    STRING,
    Column,
    Lag,
    Messages,
    SourceTable,
    Stream,
    years,
)
from data_platform.lake.tables import Lake
from sandbox.kafka.server import KafkaServer
from tests.faults.launcher import Constant, Fault
from tests.faults.result import Difference, Row
from tests.faults.truth import held

PARTITIONS = 3
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "quantity", "type": ["null", "long"], "default": None},
        {"name": "channel", "type": "string"},
    ],
}
NUMBERED = count(1)


@dataclass
class Sent:
    """What a topic was sent, by where it is found again."""

    rows: dict[str, Row] = field(default_factory=dict)
    poison: dict[str, Row] = field(default_factory=dict)


class KafkaTopic:
    """One topic of a broker. `begin` makes a new one, so that each lake has a topic that nobody has read."""

    name = "kafka"
    small: Sequence[Fault] = (
        Constant("data_platform.connectors.kafka.reading:PAGE_MESSAGES", 7),
        Constant("data_platform.connectors.http:FIRST_WAIT", 0.01),
    )

    def __init__(self, server: KafkaServer) -> None:
        self.server = server
        self.begin()

    def settings(self) -> Mapping[str, str]:
        return self.server.settings()

    def begin(self) -> None:
        self.topic = f"events_{next(NUMBERED)}"
        self.server.create_topic(self.topic, PARTITIONS, max_message_bytes="10485760")
        self.era = 1
        self.sent = Sent()
        self.numbers = count()
        parsed: Any = fastavro.parse_schema(SCHEMA)
        self._schema = parsed
        self._schema_id = self.server.registry.register(f"{self.topic}-value", SCHEMA)
        self.table = SourceTable(
            system="kafka",
            name=self.topic,
            reads=self.topic,
            description="Events.",
            key=("event_id",),
            load=Stream("offset", Messages(key="event_id"), Lag(1, timedelta(minutes=1))),
            every=ON_CHANGE,
            owner="team:platform",
            keep_for=years(1),
            columns=(
                Column("event_id", STRING, required=True),
                Column("amount", DECIMAL(18, 2)),
                Column("quantity", INTEGER),
            ),
        )

    def begin_again(self) -> None:
        """The topic is deleted and made again; what was sent before stays where it landed."""
        admin = self.server.admin()
        admin.delete_topics([self.topic])[self.topic].result(30)
        self.server.create_topic(self.topic, PARTITIONS)
        self.era += 1

    def send(self, messages: int, poison_in: int = 20) -> None:
        """JSON and Avro in turns, with one poisoned in so many, some sent twice, late or taken back."""
        producer = Producer({**self.server.client(), "linger.ms": 5, "message.max.bytes": 10_000_000})
        for number in (next(self.numbers) for _ in range(messages)):
            key, moment = f"e{number}", 1_770_000_000_000 + (number * 7919) % 86_400_000
            if number % poison_in == 7:
                self._produce(producer, key, b'{"event_id": "' + key.encode(), {}, moment, is_poison=True)
                continue
            for body, row in self._said(number, key):
                self._produce(producer, key, body, row, moment)
            producer.poll(0)
        if producer.flush(60):
            raise AssertionError("the broker did not take all messages")

    def send_large(self, size: int) -> None:
        key = f"e{next(self.numbers)}"
        body = json.dumps({"event_id": key, "note": "x" * size}).encode()
        row = self._row(key, _rescued=json.dumps({"note": "x" * size}, separators=(",", ":")))
        producer = Producer({**self.server.client(), "message.max.bytes": 10_000_000})
        self._produce(producer, key, body, row, 1_770_000_000_000)
        producer.flush(60)

    def differ(self, lake: Lake) -> Difference:
        """Every place once: in bronze as it was sent, or in quarantine with its bytes."""
        bronze = held(lake, f"bronze/kafka/{self.topic}")
        quarantine = held(lake, f"quarantine/kafka/{self.topic}")
        return Difference.between(self.sent.rows, bronze, lambda row: row["_origin"]) + Difference.between(
            self.sent.poison, quarantine, lambda row: row["_origin"]
        )

    def _said(self, number: int, key: str) -> list[tuple[bytes | None, Row]]:
        value = {"event_id": key, "amount": number + 0.25, "quantity": number}
        row = self._row(key, amount=Decimal(number) + Decimal("0.25"), quantity=number)
        if number % 3 == 0:
            body = BytesIO()
            record: Any = {"event_id": key, "quantity": number, "channel": "shop"}
            fastavro.schemaless_writer(body, self._schema, record)
            framed = b"\0" + self._schema_id.to_bytes(4, "big") + body.getvalue()
            return [(framed, self._row(key, quantity=number, _rescued='{"channel":"shop"}'))]
        text = json.dumps(value).encode()
        if number % 10 == 1:
            # A producer that tried again.
            return [(text, row), (text, row)]
        if number % 10 == 4:
            return [(text, row), (None, {**self._row(key), "_op": "delete"})]
        return [(text, row)]

    def _row(self, key: str, **said: Any) -> Row:
        return {"event_id": key, "amount": None, "quantity": None, "_op": "upsert", "_rescued": None, **said}

    def _produce(
        self, producer: Producer, key: str, body: bytes | None, row: Row, moment: int, is_poison: bool = False
    ) -> None:
        era = f"/era {self.era}" if self.era > 1 else ""

        def note(error: Any, message: Any) -> None:
            if error is not None:
                raise AssertionError(f"a message was not taken: {error.name()}")
            place = f"{self.topic}/{message.partition()}/{message.offset()}{era}"
            if is_poison:
                self.sent.poison[place] = {"_body": body}
            else:
                self.sent.rows[place] = row

        producer.produce(self.topic, body, key=key, timestamp=moment, on_delivery=note)
