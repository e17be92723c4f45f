"""What DynamoDB's attributes become: typed where they fit, rescued with all of their digits where they don't."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from data_platform.connectors.base import SourceError
from data_platform.connectors.dynamodb.position import BEFORE_ALL, Reached, next_era
from data_platform.connectors.dynamodb.shards import ENDED, Place
from data_platform.connectors.dynamodb.values import rows_of
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
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DIGITS = "1234567890123456789012345678.0123456789"
POINT = STRUCT(Column("x", INTEGER), Column("at", TIMESTAMP), Column("tags", LIST(STRING)))


def read(declared, attribute):
    """The column's value, and what was rescued."""
    rows = rows_of([{"value": attribute}], [Column("value", declared)])
    (rescued,) = rows.rescued.to_pylist()
    return rows.columns["value"].to_pylist()[0], json.loads(rescued, parse_float=Decimal) if rescued else {}


@pytest.mark.parametrize(
    ("declared", "attribute", "value"),
    [
        (STRING, {"S": ""}, ""),
        (BOOLEAN, {"BOOL": False}, False),
        (INTEGER, {"N": "-9223372036854775808"}, -(2**63)),
        (INTEGER, {"N": "5.0"}, 5),
        (DOUBLE, {"N": "0.1"}, 0.1),
        (DECIMAL(38, 10), {"N": DIGITS}, Decimal(DIGITS)),
        (DECIMAL(10, 2), {"N": "1E+3"}, Decimal(1000)),
        (DATE, {"S": "2026-06-01"}, date(2026, 6, 1)),
        (TIMESTAMP, {"S": "2026-06-01T12:00:00Z"}, NOON),
        (TIMESTAMP, {"S": "2026-06-01T14:00:00+02:00"}, NOON),
        (TIMESTAMP, {"S": "2026-06-01T12:00:00"}, NOON),
        (TIMESTAMP, {"N": str(int(NOON.timestamp()))}, NOON),
        (TIMESTAMP, {"N": str(int(NOON.timestamp() * 1000))}, NOON),
        (BINARY, {"B": b"\x00\xff"}, b"\x00\xff"),
        (LIST(STRING), {"SS": ["b", "a"]}, ["a", "b"]),
        (LIST(INTEGER), {"NS": ["10", "9"]}, [9, 10]),
        (LIST(BINARY), {"BS": [b"b", b"a"]}, [b"a", b"b"]),
        (LIST(STRING), {"L": []}, []),
        (
            POINT,
            {"M": {"x": {"N": "1"}, "at": {"S": "2026-06-01T12:00:00Z"}, "tags": {"L": [{"S": "z"}]}}},
            {"x": 1, "at": NOON, "tags": ["z"]},
        ),
        (JSON, {"M": {"a": {"NULL": True}, "n": {"N": "1.50"}}}, '{"a":null,"n":1.5}'),
        (JSON, {"NS": ["2", "1.5"]}, "[1.5,2]"),
        (JSON, {"B": b"\x00\x01"}, '"AAE="'),
        (STRING, {"NULL": True}, None),
        (LIST(STRING), {"NULL": True}, None),
    ],
)  # fmt: skip
def test_a_value_that_fits_is_held_and_nothing_is_rescued(declared, attribute, value):
    assert read(declared, attribute) == (value, {})


@pytest.mark.parametrize(
    ("declared", "attribute", "kept", "rescued"),
    [
        (STRING, {"N": "12"}, None, 12),
        (INTEGER, {"N": "9223372036854775808"}, None, 2**63),
        (INTEGER, {"N": "1.5"}, None, Decimal("1.5")),
        (DECIMAL(10, 2), {"N": DIGITS}, None, Decimal(DIGITS)),
        (DECIMAL(10, 2), {"S": "1.00"}, None, "1.00"),
        (TIMESTAMP, {"S": "yesterday"}, None, "yesterday"),
        (TIMESTAMP, {"N": "1E+100"}, None, 10**100),
        (BOOLEAN, {"S": "true"}, None, "true"),
        (BINARY, {"S": "AAE="}, None, "AAE="),
        (LIST(INTEGER), {"L": [{"N": "1"}, {"S": "two"}]}, [1, None], [1, "two"]),
        (LIST(STRING), {"M": {}}, None, {}),
        (POINT, {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}, {"x": 1, "at": None, "tags": None}, {"x": 1, "y": 2}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_rescued_whole_beside_what_of_it_does(declared, attribute, kept, rescued):
    assert read(declared, attribute) == (kept, {"value": rescued})


def test_one_misfit_among_many_takes_nothing_from_the_others():
    items = [{"value": {"N": "1.25"}}, {"value": {"N": "1.123"}}, {}]
    rows = rows_of(items, [Column("value", DECIMAL(10, 2))])
    assert rows.columns["value"].to_pylist() == [Decimal("1.25"), None, None]
    assert rows.rescued.to_pylist() == [None, '{"value":1.123}', None]


def test_what_is_not_declared_is_rescued_and_null_is_told_from_missing():
    rows = rows_of([{"new": {"NULL": True}}, {}], [Column("value", STRING)])
    assert rows.rescued.to_pylist() == ['{"new":null}', None]


REACHED = Reached(
    "arn:stream",
    2,
    (BEFORE_ALL, {"a": {"S": "x"}, "b": {"B": b"\x00\xff"}, "c": {"N": "1.5"}}, None),
    {"shard-1": Place("after", "0123"), "shard-2": ENDED},
    NOON,
)


def test_a_position_is_read_as_it_was_written_to_json():
    assert Reached.of(json.loads(json.dumps(REACHED.position))) == REACHED


def test_items_that_were_scanned_lie_between_the_eras_before_and_the_changes_of_their_own():
    before = Reached("arn:stream", 1, None, {}, NOON)
    assert before.order_of("9" * 28) < REACHED.order < REACHED.order_of("000000000000000000001")
    assert (next_era(None), next_era(before.order_of("9" * 28)), next_era(REACHED.order)) == (1, 2, 3)


def test_a_sequence_number_without_room_is_an_error_and_no_wrong_order():
    with pytest.raises(SourceError, match=r"sequence number of 33 digits, and _order has room for 32"):
        REACHED.order_of("1" + "0" * 32)
