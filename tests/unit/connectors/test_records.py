"""Records land in the declared types to the last digit; what does not fit is kept beside them."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from data_platform.connectors.http import Unreadable
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.records import exact_number
from data_platform.connectors.texts import rows_from_text
from data_platform.declarations import (
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

COLUMNS = (
    Column("Id", STRING),
    Column("Amount", DECIMAL(18, 2)),
    Column("Count", INTEGER),
    Column("Share", DOUBLE),
    Column("Won", BOOLEAN),
    Column("Day", DATE),
    Column("At", TIMESTAMP),
    Column("Address", JSON),
)
WHOLE = (
    '{"attributes":{"type":"Lead"},"Id":"a","Amount":1234567890123456.78,"Count":7,"Share":0.1,"Won":true,'
    '"Day":"2026-02-28","At":"2026-01-01T10:11:12.345+0000","Address":{"city": "X","street":null}}'
)
WHOLE_ROW = {
    "Id": "a",
    "Amount": Decimal("1234567890123456.78"),
    "Count": 7,
    "Share": 0.1,
    "Won": True,
    "Day": date(2026, 2, 28),
    "At": datetime(2026, 1, 1, 10, 11, 12, 345_000, UTC),
    "Address": '{"city": "X","street":null}',
}


def read(*records, undeclared=None):
    pages = JsonPages(COLUMNS, under="records", undeclared=undeclared, ignored=("attributes",))
    rows = pages.read(f'{{"done":true,"records":[{",".join(records)}]}}'.encode())
    return pa.table(dict(rows.columns)).to_pylist(), [
        text and json.loads(text) for text in rows.rescued.to_pylist()
    ]


def test_each_type_is_read_exactly():
    assert read(WHOLE) == ([WHOLE_ROW], [None])


def test_a_page_with_a_misfit_is_read_just_as_exactly():
    rows, rescued = read(WHOLE, '{"Id":"b","Amount":"abc"}')
    assert rows == [WHOLE_ROW, dict.fromkeys(WHOLE_ROW) | {"Id": "b"}]
    assert rescued == [None, {"Amount": "abc"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Amount", "0.125"),
        ("Amount", "100000000000000000"),
        ("Amount", "true"),
        ("Count", "7.5"),
        ("Count", "9223372036854775808"),
        ("Id", "5"),
        ("Won", '"yes"'),
        ("Day", '"2026-02-30"'),
        ("At", '"2026-01-01"'),
        ("At", '"soon"'),
    ],
)
def test_what_would_lose_something_is_rescued_whole(field, value):
    rows, rescued = read(f'{{"{field}":{value},"Share":1.5}}', WHOLE)
    assert rows == [dict.fromkeys(WHOLE_ROW) | {"Share": 1.5}, WHOLE_ROW]
    assert rescued == [{field: json.loads(value)}, None]


def test_a_whole_number_may_be_written_with_a_point():
    rows, rescued = read('{"Count":5.0}')
    assert (rows[0]["Count"], rescued) == (5, [None])


def test_an_empty_text_is_not_a_null():
    rows, _ = read('{"Id":""}', '{"Id":null}', "{}")
    assert [row["Id"] for row in rows] == ["", None, None]


@pytest.mark.parametrize("beside", ["{}", '{"Id":5}', '{"New":"x","Address":[1]}'])
@pytest.mark.parametrize("undeclared", [None, ("New", "Empty", "On")])
def test_undeclared_fields_are_kept_asked_for_or_not(beside, undeclared):
    record = WHOLE[:-1] + ',"New":12.50,"Empty":null,"On":"2026-01-01"}'
    rows, rescued = read(record, beside, undeclared=undeclared)
    assert (rows[0], rescued[0]) == (WHOLE_ROW, {"New": 12.5, "On": "2026-01-01"})


def test_a_page_of_one_shape_and_a_page_of_many_are_read_alike():
    """The second holds a misfit, so it is read value by value."""
    alone, with_misfit = read(WHOLE), read(WHOLE, '{"Count":"x"}')
    assert (alone[0], alone[1]) == (with_misfit[0][:1], with_misfit[1][:1])


def test_a_rescued_number_keeps_all_its_digits():
    pages = JsonPages(COLUMNS[:1], under="records")
    rows = pages.read(b'{"records":[{"New":12345678901234567890.123456789}]}')
    assert rows.rescued.to_pylist() == ['{"New":12345678901234567890.123456789}']


def test_a_page_without_records_is_empty_and_keeps_its_columns():
    rows = JsonPages(COLUMNS, under="records").read(b'{"records":[]}')
    assert (len(rows), list(rows.columns)) == (0, [column.name for column in COLUMNS])


@pytest.mark.parametrize(
    "body",
    [
        b'{"records":[{"Id":"a"}',
        b"[]",
        b'{"records":5}',
        b'{"records":[null]}',
        b'{"records":[{"Id":"\xff"}]}',
    ],
)
def test_a_body_that_is_no_page_is_an_outage(body):
    with pytest.raises(Unreadable):
        JsonPages(COLUMNS, under="records").read(body)


def test_text_is_read_as_the_same_record_in_json_would_be():
    columns = COLUMNS[:-1]
    texts = pa.table(
        {
            "Id": ["a", None],
            "Amount": ["1234567890123456.78", "0.125"],
            "Count": ["7", "5.0"],
            "Share": ["0.1", None],
            "Won": ["true", "false"],
            "Day": ["2026-02-28", "never"],
            "At": ["2026-01-01T10:11:12.345Z", None],
            "New": ["x", None],
        }
    )
    numbers = {"Amount", "Count", "Share"}
    rows = rows_from_text(
        texts, columns, ["New"], lambda name, text: exact_number(text) if name in numbers else text
    )
    first, second = pa.table(dict(rows.columns)).to_pylist()
    assert first == {name: value for name, value in WHOLE_ROW.items() if name != "Address"}
    assert second == dict.fromkeys(first) | {"Count": 5, "Won": False}
    assert rows.rescued.to_pylist() == ['{"New":"x"}', '{"Amount":0.125,"Day":"never"}']


@pytest.mark.parametrize(
    ("text", "number"),
    [("12.50", Decimal("12.5")), ("5.0", 5), ("1.0E7", 10_000_000), ("-0.10", Decimal("-0.1"))],
)
def test_a_number_has_one_way_to_be_written(text, number):
    assert (exact_number(text), str(exact_number(text))) == (number, str(number))
