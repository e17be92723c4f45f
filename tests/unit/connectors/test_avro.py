"""Avro values decoded many at a time are what they are one by one, whatever is wrong with some of them."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import fastavro
import numpy as np
import pytest

from data_platform.connectors.kafka.avro import AvroValues, UnknownSchema
from data_platform.connectors.kafka.position import orders
from data_platform.declarations import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    Column,
)

SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "small", "type": ["int", "null"]},
        {"name": "count", "type": "long"},
        {"name": "ratio", "type": "double"},
        {"name": "share", "type": ["null", "float"]},
        {"name": "is_new", "type": "boolean"},
        {"name": "raw", "type": "bytes"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3}},
        {"name": "tax", "type": ["null", {"type": "fixed", "name": "Tax", "size": 6, "logicalType": "decimal",
                                          "precision": 10, "scale": 2}]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["one", "two", "three"]}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}  # fmt: skip
COLUMNS = (
    Column("id", STRING, required=True),
    Column("note", STRING),
    Column("small", INTEGER),
    Column("count", INTEGER),
    Column("ratio", DOUBLE),
    Column("is_new", BOOLEAN),
    Column("raw", BINARY),
    Column("price", DECIMAL(20, 3)),
    Column("tax", DECIMAL(10, 2)),
    Column("kind", STRING),
    Column("day", DATE),
    Column("at", TIMESTAMP),
)
PARSED = fastavro.parse_schema(SCHEMA)


def reader(schema: dict = SCHEMA, columns: tuple[Column, ...] = COLUMNS) -> AvroValues:
    return AvroValues({"schema": json.dumps(schema)}, columns, (), lambda subject, version: None)


def written(record: dict, schema: object = PARSED) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, schema, record)
    return body.getvalue()


def some_record(chance: random.Random) -> dict:
    return {
        "id": "é" * chance.randrange(0, 9) + str(chance.random())[: chance.randrange(20)],
        "note": chance.choice([None, "", "x" * 12, "x" * 13, "long " * 50]),
        "small": chance.choice([None, 0, -1, 2**31 - 1, -(2**31)]),
        "count": chance.choice([0, -1, 63, 64, -65, 2**63 - 1, -(2**63), chance.randrange(10**12)]),
        "ratio": chance.choice([0.0, -1.5, 1e300, chance.random()]),
        "share": chance.choice([None, 0.5]),
        "is_new": chance.random() < 0.5,
        "raw": chance.randbytes(chance.randrange(30)),
        "price": Decimal(chance.choice([0, -1, 127, 128, -128, -129, 10**20 - 1, 1 - 10**20])).scaleb(-3),
        "tax": chance.choice([None, Decimal("-12345678.90"), Decimal("0.01")]),
        "kind": chance.choice(["one", "two", "three"]),
        "day": chance.choice([None, date(1969, 12, 31), date(2026, 5, 1)]),
        "at": datetime(2026, 5, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(-(10**15), 10**15)),
    }


def test_values_come_out_as_they_were_written() -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    records = [some_record(chance) for _ in range(500)]
    rows, refused = reader().read([written(record) for record in records])
    assert refused == {}
    for column in COLUMNS:
        assert rows.columns[column.name].to_pylist() == [record[column.name] for record in records], (
            column.name
        )
    rescued = [said and json.loads(said) for said in rows.rescued.to_pylist()]
    assert rescued == [None if r["share"] is None else {"share": 0.5} for r in records]


@pytest.mark.parametrize("seed", range(6))
def test_broken_values_are_the_same_ones_many_at_a_time_and_one_by_one(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    bodies = [broken(written(some_record(chance)), chance) for _ in range(400)]
    many = reader()
    assert many._plain
    singly = reader()
    singly._plain = []
    rows, refused = many.read(bodies)
    expected, why = singly.read(bodies)
    assert refused == why
    assert 0 < len(refused) < len(bodies)
    assert rows.columns.keys() <= expected.columns.keys()
    for name, values in rows.columns.items():
        assert repr(values.to_pylist()) == repr(expected.columns[name].to_pylist()), name


def broken(body: bytes, chance: random.Random) -> bytes:
    """Some cut, some longer, some with another byte; most as they are."""
    place = chance.randrange(len(body))
    return chance.choice(
        [body] * 5
        + [
            body[:place],
            body + b"\x00",
            body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :],
            b"\xff" * 40,
            b"",
        ]
    )


def test_a_value_that_its_own_schema_has_no_room_for_is_rescued() -> None:
    record = some_record(random.Random(1)) | {"price": Decimal(0)}  # noqa: S311 - the same each time
    body, digits = written(record), 10**25
    large = digits.to_bytes(11, "big")
    # Avro says the length of the bytes that a decimal is in, twice it as all whole numbers.
    before = written({**record, "tax": None, "day": None}).index(bytes([2, 0]))
    assert body[before : before + 2] == bytes([2, 0])
    rows, refused = reader().read([body[:before] + bytes([22]) + large + body[before + 2 :], body])
    assert refused == {}
    assert rows.columns["price"].to_pylist() == [None, Decimal("0.000")]
    assert json.loads(rows.rescued.to_pylist()[0])["price"] == 10**22


def test_records_of_other_shapes_are_read_one_by_one() -> None:
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "details", "type": {"type": "map", "values": "long"}},
        ],
    }
    nested = reader(schema, (Column("id", STRING, required=True), Column("details", JSON)))
    rows, refused = nested.read([written({"id": "a", "details": {"x": 1}}, fastavro.parse_schema(schema))])
    assert (rows.columns["details"].to_pylist(), refused) == (['{"x":1}'], {})


def test_a_schema_that_is_no_record_is_said_so() -> None:
    with pytest.raises(UnknownSchema, match="it is no record"):
        reader({"type": "string"})


def test_order_goes_by_era_time_offset_and_partition() -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    times, offsets, partitions = (
        np.array([chance.randrange(limit) for _ in range(300)]) for limit in (9 * 10**13, 10**13, 10**5)
    )
    found = [int(each) for each in orders(7, times, offsets, partitions).to_pylist()]
    assert found == [
        ((7 * 10**14 + int(moment)) * 10**13 + int(offset)) * 10**5 + int(partition)
        for moment, offset, partition in zip(times, offsets, partitions, strict=True)
    ]
