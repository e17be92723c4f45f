"""Objects and lists of them land in the declared types, as deep as these go; what is left out is kept beside them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest

from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.kafka.avro import AvroValues
from data_platform.connectors.records import Rows
from data_platform.declarations import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    INTEGER,
    JSON,
    LIST,
    STRING,
    STRUCT,
    TIMESTAMP,
    Column,
    DataType,
)

ITEM = STRUCT(
    Column("name", STRING),
    Column("price", DECIMAL(10, 2)),
    Column("count", INTEGER),
    Column("share", DOUBLE),
    Column("is_new", BOOLEAN),
    Column("day", DATE),
    Column("at", TIMESTAMP),
    Column("raw", BINARY),
    Column("more", JSON),
    Column("tags", LIST(STRING)),
)
COLUMNS = (Column("id", STRING), Column("item", ITEM), Column("items", LIST(ITEM)))
WRITTEN = {
    "name": "a",
    "price": 12.30,
    "count": 5,
    "share": 0.1,
    "is_new": True,
    "day": "2026-02-28",
    "at": "2026-01-01T10:00:00Z",
    "raw": "AAE=",
    "more": {"b": 2},
    "tags": ["x", "y"],
}
HELD = {
    "name": "a",
    "price": Decimal("12.30"),
    "count": 5,
    "share": 0.1,
    "is_new": True,
    "day": date(2026, 2, 28),
    "at": datetime(2026, 1, 1, 10, tzinfo=UTC),
    "raw": b"\0\1",
    "more": '{"b":2}',
    "tags": ["x", "y"],
}


def by_column(*records: object) -> Rows:
    """With fewer nested columns than plain ones."""
    more = tuple(Column(f"plain_{number}", STRING) for number in range(4))
    return JsonPages((*COLUMNS, *more), under="r").read(json.dumps({"r": records}).encode())


def by_record(*records: object) -> Rows:
    return JsonPages(COLUMNS, under="r").read(json.dumps({"r": records}).encode())


Read = Callable[..., Rows]
BOTH_WAYS = pytest.mark.parametrize("read", [by_column, by_record])


def told(rows: Rows) -> tuple[list[Any], list[Any], list[Any]]:
    rescued = [text and json.loads(text) for text in rows.rescued.to_pylist()]
    return rows.columns["item"].to_pylist(), rows.columns["items"].to_pylist(), rescued


@BOTH_WAYS
def test_what_fits_lands_whole_and_alone(read: Read) -> None:
    rows = read({"id": "1", "item": WRITTEN, "items": [WRITTEN, {}]}, {"id": "2", "item": None}, {"id": "3"})
    nothing = dict.fromkeys(HELD)
    assert told(rows) == ([HELD, None, None], [[HELD, nothing], None, None], [None, None, None])


@BOTH_WAYS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("price", "12.30"),
        ("price", True),
        ("count", 5.5),
        ("count", True),
        ("share", "much"),
        ("is_new", 1),
        ("day", "soon"),
        ("at", 1_700_000_000),
        ("raw", "?"),
        ("tags", "x"),
    ],
)
def test_what_does_not_fit_is_left_out_and_the_whole_kept(read: Read, field: str, value: object) -> None:
    misfit = WRITTEN | {field: value}
    (item, other), (items, _), (rescued, none) = told(
        read({"id": "1", "item": misfit, "items": [WRITTEN, misfit]}, {"id": "2", "item": WRITTEN})
    )
    assert (item, items, other) == (HELD | {field: None}, [HELD, HELD | {field: None}], HELD)
    assert (rescued, none) == ({"item": misfit, "items": [WRITTEN, misfit]}, None)


@BOTH_WAYS
@pytest.mark.parametrize("price", [12.345, 123456789012.5])
def test_a_number_that_its_column_has_no_room_for_is_kept_to_its_last_digit(read: Read, price: float) -> None:
    rows = read({"id": "1", "item": WRITTEN | {"price": price}})
    assert told(rows) == ([None], [None], [{"item": WRITTEN | {"price": price}}])


@BOTH_WAYS
def test_a_field_that_is_not_declared_is_kept_with_the_whole(read: Read) -> None:
    grown = WRITTEN | {"colour": "red"}
    assert told(read({"id": "1", "item": grown})) == ([HELD], [None], [{"item": grown}])


@pytest.mark.parametrize(
    ("of", "written", "held"),
    [
        (TIMESTAMP, WRITTEN["at"], HELD["at"]),
        (DATE, WRITTEN["day"], HELD["day"]),
        (BINARY, WRITTEN["raw"], HELD["raw"]),
        (JSON, WRITTEN["more"], HELD["more"]),
        (DECIMAL(10, 2), WRITTEN["price"], HELD["price"]),
        (LIST(DATE), [WRITTEN["day"]], [HELD["day"]]),
    ],
)
def test_a_list_holds_values_of_any_type(of: DataType, written: object, held: object) -> None:
    pages = JsonPages((Column("id", STRING), Column("values", LIST(of))), under="r")
    rows = pages.read(json.dumps({"r": [{"id": "1", "values": [written, None]}, {"id": "2"}]}).encode())
    assert (rows.columns["values"].to_pylist(), rows.rescued.to_pylist()) == (
        [[held, None], None],
        [None, None],
    )


@BOTH_WAYS
@pytest.mark.parametrize("value", ["text", 5, True, [1]])
def test_what_is_no_object_is_kept(read: Read, value: object) -> None:
    assert told(read({"id": "1", "item": value})) == ([None], [None], [{"item": value}])


def test_avro_says_the_same() -> None:
    item = {
        "type": "record",
        "name": "Item",
        "fields": [
            {"name": "name", "type": "string"},
            {
                "name": "price",
                "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
            },
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "count", "type": ["null", "long"]},
        ],
    }
    fields = [
        {"name": "id", "type": "string"},
        {"name": "item", "type": item},
        {"name": "items", "type": {"type": "array", "items": "Item"}},
    ]
    schema: Mapping[str, Any] = {"type": "record", "name": "Event", "fields": fields}
    said = {name: HELD[name] for name in ("name", "price", "at", "day")} | {"count": None}
    body = BytesIO()
    fastavro.schemaless_writer(
        body, fastavro.parse_schema(schema), {"id": "1", "item": said, "items": [said, said]}
    )
    reader = AvroValues({"schema": json.dumps(schema)}, COLUMNS, (), lambda *_: None)
    rows, refused = reader.read([body.getvalue()])
    expected = dict.fromkeys(HELD) | said
    assert (told(rows), refused) == (([expected], [[expected, expected]], [None]), {})
