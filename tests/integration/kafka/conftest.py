"""A broker with its registry for all of these tests; to each a topic of its own, and a lake that it is loaded into."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import count

import fastavro
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.connectors.base import Connector
from data_platform.declarations import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    ON_CHANGE,
    STRING,
    TIMESTAMP,
    Column,
    Lag,
    Messages,
    SourceTable,
    Stream,
    years,
)
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from sandbox.kafka.server import KafkaServer
from tests.integration.killed import Killed, KilledWhileReading

COLUMNS = (
    Column("event_id", STRING, required=True),
    Column("amount", DECIMAL(18, 2)),
    Column("quantity", INTEGER),
    Column("is_gift", BOOLEAN),
    Column("occurred_at", TIMESTAMP),
)
NUMBERED = count()


def event(number: int, **more: object) -> dict:
    return {"event_id": f"e{number}", "amount": number + 0.5, "quantity": number, **more}


class Topic:
    """One topic of the shared broker, the table that is declared on it, and where it lands."""

    def __init__(self, server: KafkaServer, lake: Lake, partitions: int = 3, **config: str) -> None:
        self.server = server
        self.lake = lake
        self.name = f"events_{next(NUMBERED)}"
        server.create_topic(self.name, partitions, **config)
        self.table = SourceTable(
            system="kafka",
            name=self.name,
            reads=self.name,
            description="Events.",
            key=("event_id",),
            load=Stream("offset", Messages(key="event_id"), Lag(5, timedelta(hours=1))),
            every=ON_CHANGE,
            owner="team:platform",
            keep_for=years(1),
            columns=COLUMNS,
        )

    def declared(self, **said: object) -> SourceTable:
        self.table = replace(self.table, **said)
        return self.table

    @property
    def admin(self) -> AdminClient:
        return self.server.admin()

    def settings(self, **more: object) -> Settings:
        given = {name.lower(): value for name, value in self.server.settings().items()}
        usual = {"lake_uri": self.lake.uri, "kafka_patience": timedelta(seconds=20)}
        return Settings(_env_file=None, **(given | usual | more))

    def producer(self, **more: object) -> Producer:
        return Producer(self.server.client() | {"linger.ms": 1} | more)

    def send(self, values: Sequence[object], partition: int = 0, **said: object) -> None:
        """Values as they are in bytes (None: without one), others as JSON; keyed by their event."""
        producer = self.producer()
        for value in values:
            key = value["event_id"] if isinstance(value, dict) else None
            body = json.dumps(value).encode() if isinstance(value, dict | list) else value
            producer.produce(self.name, body, **({"key": key, "partition": partition} | said))
        assert producer.flush(30) == 0

    def avro(self, schema: dict | str, of: str = "value") -> "Avro":
        # A subject holds what follows its own earlier schemas; keys of several kinds have one each.
        subject = f"{self.name}-{of}" if of == "value" else f"{self.name}-{next(NUMBERED)}-{of}"
        return Avro(self.server.registry.register(subject, schema), schema)

    def connector(self, **settings: object) -> Connector:
        return connector_for(self.table, self.settings(**settings))

    def load(self, commit_rows: int = 50_000, **settings: object) -> Loaded:
        return load(self.table, self.connector(**settings), self.lake, commit_rows)

    def load_killed(self, after: int, commit_rows: int = 1) -> None:
        with pytest.raises(Killed):
            load(self.table, KilledWhileReading(self.connector(), after), self.lake, commit_rows)

    def rows(self) -> list[dict]:
        held = self.lake.bronze(self.table).query("select * from held").to_pylist()
        return sorted(held, key=lambda row: row["_order"])

    def quarantined(self) -> dict[str, dict]:
        held = self.lake.quarantine(self.table)
        rows = held.query("select * from held").to_pylist() if held.exists else []
        assert len({row["_origin"] for row in rows}) == len(rows)
        return {row["_origin"]: row for row in rows}

    def landed(self) -> list[str]:
        """The events that landed, by partition and offset; each place once."""
        rows = self.rows()
        assert len({row["_origin"] for row in rows}) == len(rows)
        return sorted(row["event_id"] for row in rows)

    def origin(self, partition: int, offset: int) -> str:
        return f"{self.name}/{partition}/{offset}"


class Avro:
    """Writes values or keys by one schema, framed as Confluent's serializers do; `referred` are types that it names."""

    def __init__(self, number: int, schema: dict | str, referred: Sequence[dict] = ()) -> None:
        self.number = number
        named: dict = {}
        for each in referred:
            fastavro.parse_schema(each, named)
        self.schema = fastavro.parse_schema(schema, named)

    def value(self, record: object) -> bytes:
        body = BytesIO()
        fastavro.schemaless_writer(body, self.schema, record)
        return framed(self.number, body.getvalue())


def framed(number: int, body: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + body


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture
def topic(kafka_server: KafkaServer, lake: Lake) -> Topic:
    return Topic(kafka_server, lake)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few messages come in many pages too."""
    monkeypatch.setattr("data_platform.connectors.kafka.reading.PAGE_MESSAGES", 5)
