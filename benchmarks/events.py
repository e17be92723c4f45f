"""The events of the Kafka benchmarks: a million messages of 300 bytes as JSON, or the same as Avro; what a load of them
has to land; and who loads them.

They are made before the clock starts, by keys that are dealt to the partitions in turn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
from confluent_kafka import Producer
from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.tables import JSON_EVENTS
from benchmarks.turns import Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns
from data_platform.declarations import SourceTable
from sandbox.kafka.server import KafkaServer

MESSAGES = 1_000_000
PARTITIONS = 8
BYTES = 300
ROUNDS = 3
FIRST_SECOND = 1_767_225_600  # 2026-01-01, as seconds since 1970
# Filled up with a long address, so that each is of the same size.
EVENT = (
    '{{"event_id":"e-{0:012d}","user_id":"u-{1:06d}","event_type":"product_view","session_id":"s-{2:08d}",'
    '"page_url":"https://shop.example/products/{0:036d}","country":"DE","amount":{3}.25,"quantity":{4},'
    '"score":{4}.125,"is_bot":{5},"event_time":"{6}.123Z"}}'
)
SCHEMA = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "user_id", "type": ["null", "string"]},
        {"name": "event_type", "type": ["null", "string"]},
        {"name": "session_id", "type": ["null", "string"]},
        {"name": "page_url", "type": ["null", "string"]},
        {"name": "country", "type": ["null", "string"]},
        {
            "name": "amount",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}],
        },
        {"name": "quantity", "type": ["null", "long"]},
        {"name": "score", "type": ["null", "double"]},
        {"name": "is_bot", "type": ["null", "boolean"]},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


def measure(name: str, table: SourceTable) -> Result:
    """The table's topic by ours, by Spark, and by who looks at nothing."""
    with filled(table, MESSAGES // 5) as smaller:
        one_fifth = platform(smaller, table).run(job_of(table), partial(check, MESSAGES // 5)).peak_mb
    with filled(table, MESSAGES) as server:
        runs = take_turns(sides(server, table), job_of(table), ROUNDS, partial(check, MESSAGES))
    rates = {side: MESSAGES / seconds(each) for side, each in runs.items()}
    ours, limit = rates.pop("platform"), rates.pop("consume")
    peak = peak_mb(runs["platform"])
    return Result(
        name=name,
        unit="messages/s",
        ours=ours,
        peers=rates,
        ratio=ours / max(rates.values()),
        limit=limit,
        peak_mb=peak,
        rows=MESSAGES,
        details={
            "bytes_a_message": runs["consume"][0].details["bytes"] / MESSAGES,
            "seconds": {side: seconds(each) for side, each in runs.items()},
            "seconds_from_process_start": {side: process_seconds(each) for side, each in runs.items()},
            "session_start_s": {"spark": runs["spark"][0].details["preparing_seconds"]},
            # Spark's are its JVM's, which is not seen from here.
            "cpu_seconds": cpu_seconds(runs["platform"]),
            "peak_mb_for_a_fifth_of_the_messages": one_fifth,
            "peak_growth": peak / one_fifth - 1,
        },
    )


def job_of(table: SourceTable) -> Job:
    return Job(f"{table.system}.{table.name}")


def sides(server: KafkaServer, table: SourceTable) -> list[Side]:
    return [
        platform(server, table),
        Side("spark", "spark_kafka", lands_in="lake/events", settings=server.settings()),
        Side("consume", "consume", settings=server.settings()),
    ]


def platform(server: KafkaServer, table: SourceTable) -> Side:
    return Side("platform", "bronze", lands_in=f"lake/bronze/kafka/{table.name}", settings=server.settings())


@contextmanager
def filled(table: SourceTable, messages: int) -> Iterator[KafkaServer]:
    """A cluster whose topic holds them."""
    with KafkaServer(compiled_well=True) as server:
        server.create_topic(table.reads, PARTITIONS)
        producer = Producer({**server.client(), "linger.ms": 20, "acks": "1"})
        values = json_values(messages) if table is JSON_EVENTS else avro_values(server, messages)
        for number, value in enumerate(values):
            while True:
                try:
                    producer.produce(table.reads, value, f"e-{number:012d}", number % PARTITIONS)
                    break
                except BufferError:
                    producer.poll(0.1)
        if left := producer.flush(60):
            raise RuntimeError(f"the broker has not taken {left} messages")
        yield server


def json_values(messages: int) -> Iterator[bytes]:
    for number in range(messages):
        text = EVENT.format(
            number, number % 100_000, number // 20, number % 10_000, number % 50,
            "true" if number % 9 == 0 else "false", np.datetime64(FIRST_SECOND + number, "s"),
        )  # fmt: skip
        yield text.ljust(BYTES).encode()


def avro_values(server: KafkaServer, messages: int) -> Iterator[bytes]:
    """The same events, which are shorter so; by the schema that the registry keeps."""
    frame = b"\0" + server.registry.register("avro_events-value", SCHEMA).to_bytes(4, "big")
    parsed = fastavro.parse_schema(SCHEMA)
    for number in range(messages):
        event = {
            "event_id": f"e-{number:012d}",
            "user_id": f"u-{number % 100_000:06d}",
            "event_type": "product_view",
            "session_id": f"s-{number // 20:08d}",
            "page_url": f"https://shop.example/products/{number:036d}",
            "country": "DE",
            "amount": Decimal(number % 10_000 * 100 + 25).scaleb(-2),
            "quantity": number % 50,
            "score": number % 50 + 0.125,
            "is_bot": number % 9 == 0,
            "event_time": (FIRST_SECOND + number) * 1_000 + 123,
        }
        body = BytesIO()
        fastavro.schemaless_writer(body, parsed, event)
        yield frame + body.getvalue()


# Each column has its share.
LANDED = f"""
select count(*) as rows, count(distinct event_id) as keys,
    sum(cast(substr(event_id, 3) as bigint)) as event_ids, count(distinct user_id) as users,
    count(distinct session_id) as sessions, sum(cast(substr(page_url, 31) as bigint)) as pages,
    sum(cast(country = 'DE' and event_type = 'product_view' as int)) as plain,
    sum(amount) as amount, sum(quantity) as quantity, sum(score) as score, sum(cast(is_bot as int)) as bots,
    sum(arrow_cast(arrow_cast(event_time, 'Timestamp(Millisecond, None)'), 'Int64') - {FIRST_SECOND}000 - 123)
        as moments
from held
"""


@cache
def expected(messages: int) -> dict[str, Any]:
    n = np.arange(messages, dtype=np.int64)
    return {
        "rows": messages,
        "keys": messages,
        "event_ids": int(n.sum()),
        "users": min(messages, 100_000),
        "sessions": -(-messages // 20),
        "pages": int(n.sum()),
        "plain": messages,
        "amount": Decimal(int((n % 10_000 * 100 + 25).sum())).scaleb(-2),
        "quantity": int((n % 50).sum()),
        "score": float((n % 50).sum() + messages / 8),
        "bots": int((n % 9 == 0).sum()),
        "moments": int(n.sum()) * 1_000,
    }


def check(messages: int, folder: Path) -> None:
    """Refuse a load that did not land each event once, with all its values."""
    (landed,) = pa.table(
        QueryBuilder().register("held", DeltaTable(str(folder))).execute(LANDED).read_all()
    ).to_pylist()
    if landed != expected(messages):
        raise AssertionError(f"{folder} holds {landed}; the topic has {expected(messages)}")
