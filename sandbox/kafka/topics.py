"""The company's topics in a broker: made, and filled with what the company sends, a day at a time.

Each message is sent once, however often the sandbox starts: a partition's end says how many of its messages are there.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from sandbox.kafka.schemas import schema
from sandbox.kafka.server import ACTS_WITHIN, KafkaServer
from sandbox.world.events import AVRO, PARTITIONS, Message, Streams, Topic

# No registry gives it: its ids count from one.
UNKNOWN_SCHEMA = 999_999_999
FRAMED = b"\0"


@dataclass
class Encoder:
    """Messages as their topic's producers write them, by the ids that the registry gave to their schemas."""

    ids: Mapping[tuple[Topic, int], int]
    _parsed: dict[tuple[Topic, int], Any] = field(default_factory=dict)

    def value(self, message: Message) -> bytes | None:
        if message.row is None:
            return None
        whole = self._avro(message) if message.topic in AVRO else _json(message.row | message.besides)
        match message.poison:
            case "cut_off":
                return whole[: len(whole) // 2]
            case "no_text":
                return b'{"event_id": "\xff\xfe"}'
            case "no_record":
                return b'["' + message.key.encode() + b'"]'
            case "unknown_schema":
                return FRAMED + UNKNOWN_SCHEMA.to_bytes(4, "big") + whole[5:]
            case _:
                return whole

    def _avro(self, message: Message) -> bytes:
        written = (message.topic, message.version)
        if written not in self._parsed:
            self._parsed[written] = fastavro.parse_schema(schema(*written))
        body = BytesIO()
        row: Any = message.row
        fastavro.schemaless_writer(body, self._parsed[written], row)
        return FRAMED + self.ids[written].to_bytes(4, "big") + body.getvalue()


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, default=_as_text, ensure_ascii=False).encode()


def _as_text(value: Any) -> str:
    """Money as a text, as whoever has to be exact writes it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"no event holds a {type(value).__name__}")


class Topics:
    """The company's streams and their broker, which go on together."""

    def __init__(self, server: KafkaServer, streams: Streams) -> None:
        self.server = server
        self.streams = streams
        self.day = -1
        self._make()
        self.encoder = Encoder(
            {
                (topic, version): server.registry.register(f"{topic}-value", schema(topic, version))
                for topic in AVRO
                for version in (1, 2)
            }
        )

    def _make(self) -> None:
        held = self.server.topics()
        for topic, partitions in PARTITIONS.items():
            if topic not in held:
                self.server.create_topic(topic, partitions)

    def publish_until(self, day: int) -> None:
        """What the company has sent up to the end of that day, and the topics do not hold yet."""
        producer = Producer({**self.server.client(), "linger.ms": 5, "enable.idempotence": True})
        # Of a process before this one, which may have ended in the middle of a day.
        there = self.ends() if self.day < 0 else Counter()
        for each in range(self.day + 1, day + 1):
            for topic in PARTITIONS:
                self._publish(producer, topic, each, there)
        producer.flush()
        self.day = day

    def _publish(self, producer: Producer, topic: Topic, day: int, there: Counter[tuple[Topic, int]]) -> None:
        for message in self.streams.messages(topic, day):
            place = (topic, message.partition)
            if there[place] > 0:
                there[place] -= 1
                continue
            producer.produce(
                topic,
                self.encoder.value(message),
                message.key.encode(),
                message.partition,
                headers=list(message.headers),
            )
            producer.poll(0)

    def ends(self) -> Counter[tuple[Topic, int]]:
        """How many messages each partition holds."""
        consumer = Consumer({**self.server.client(), "group.id": "sandbox"})
        try:
            return Counter(
                {
                    (topic, part): consumer.get_watermark_offsets(TopicPartition(topic, part), ACTS_WITHIN)[1]
                    for topic, parts in PARTITIONS.items()
                    for part in range(parts)
                }
            )
        finally:
            consumer.close()
