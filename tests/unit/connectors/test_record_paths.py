"""Values deeper in a record, and numbers in quotes, are read as exactly as any others."""

from decimal import Decimal

import pytest

from data_platform.connectors.json_pages import JsonPages
from data_platform.declarations import DECIMAL, DOUBLE, INTEGER, JSON, STRING, Column

COLUMNS = [
    Column("ad.id", STRING, silver="ad_id"),
    Column("ad.parts.clicks", INTEGER, silver="clicks"),
    Column("spend", DECIMAL(18, 2)),
    Column("rate", DOUBLE),
    Column("more", JSON),
]
WHOLE = '{"ad":{"id":"7","parts":{"clicks":"12"}},"spend":"3.10","rate":0.5,"more":{"a":[1]}}'
WHOLE_ROW = {
    "ad.id": "7",
    "ad.parts.clicks": 12,
    "spend": Decimal("3.10"),
    "rate": 0.5,
    "more": '{"a":[1]}',
}


def read(*records, undeclared=()):
    pages = JsonPages(
        COLUMNS,
        under="data",
        undeclared=undeclared,
        path=lambda name: tuple(name.split(".")),
        as_text=("bigint", "decimal"),
    )
    rows = pages.read(f'{{"data":[{",".join(records)}]}}'.encode())
    values = [array.to_pylist() for array in rows.columns.values()]
    return [dict(zip(rows.columns, row, strict=True)) for row in zip(*values, strict=True)], rows.rescued


# A misfit in a page has it read value by value.
@pytest.mark.parametrize("beside", ["{}", '{"rate":"x"}'])
def test_inner_values_and_quoted_numbers_are_read(beside):
    rows, _ = read(WHOLE, beside)
    assert rows[0] == WHOLE_ROW


@pytest.mark.parametrize(
    ("record", "rescued"),
    [
        ('{"ad":{"id":"7","parts":{"clicks":"many"}}}', '{"ad.parts.clicks":"many"}'),
        ('{"ad":{"id":"7"},"spend":"3.125"}', '{"spend":3.125}'),
        ('{"ad":{"id":7}}', '{"ad.id":7}'),
    ],
)
def test_an_inner_value_that_does_not_fit_is_rescued_by_its_columns_name(record, rescued):
    _, kept = read(record)
    assert kept.to_pylist() == [rescued]


def test_a_number_may_also_come_without_its_quotes():
    rows, kept = read('{"ad":{"parts":{"clicks":12}},"spend":3.1}')
    assert (rows[0]["ad.parts.clicks"], rows[0]["spend"], kept.to_pylist()) == (12, Decimal("3.10"), [None])


@pytest.mark.parametrize("beside", [WHOLE, '{"rate":"x"}'])
def test_a_record_without_the_outer_object_holds_nulls(beside):
    rows, _ = read('{"spend":"1"}', '{"ad":null}', beside)
    assert [row["ad.id"] for row in rows[:2]] == [None, None]


@pytest.mark.parametrize("beside", [WHOLE, '{"rate":"x"}'])
def test_a_field_beside_the_outer_objects_is_undeclared(beside):
    _, kept = read('{"ad":{"id":"7"},"new":1}', beside, undeclared=None)
    assert kept.to_pylist()[0] == '{"new":1}'


SHAPED = [
    Column("profile.identity", STRING, silver="identity"),
    Column("ts", INTEGER),
    Column("profile", JSON),
    Column("props", JSON),
]
EVENT = '{"profile":{"identity":"C1","score":1.50},"ts":20260601,"props":{"b":1,"a":[2.0]},"noise":"x"}'
EVENT_ROW = {
    "profile.identity": "C1",
    "ts": 20260601,
    "profile": '{"identity":"C1","score":1.50}',
    "props": '{"b":1,"a":[2.0]}',
}
EMPTY_ROW = dict.fromkeys(EVENT_ROW)


@pytest.mark.parametrize(
    ("beside", "row", "rescued"),
    [
        ("{}", {}, None),
        ('{"profile":null,"props":null,"ts":null}', {}, None),
        ('{"profile":{"other":1},"props":3}', {"profile": '{"other":1}', "props": "3"}, None),
        # A page with one of these is read in another way, and its other records come out as before.
        ('{"ts":"late","props":[]}', {"props": "[]"}, '{"ts":"late"}'),
        ('{"profile":{"identity":7}}', {"profile": '{"identity":7}'}, '{"profile.identity":7}'),
        ('{"ts":5,"new":{"b":2,"a":1}}', {"ts": 5}, '{"new":{"a":1,"b":2}}'),
        ('{"profile":"C2"}', {"profile": '"C2"'}, None),
    ],
)
def test_records_of_inner_objects_are_read_exactly(beside, row, rescued):
    pages = JsonPages(SHAPED, under="records", ignored=("noise",), path=lambda name: tuple(name.split(".")))
    rows = pages.read(f'{{"status":"success","records":[{EVENT},{beside}]}}'.encode())
    held = {name: array.to_pylist() for name, array in rows.columns.items()}
    assert {name: values[0] for name, values in held.items()} == EVENT_ROW
    assert {name: values[1] for name, values in held.items()} == EMPTY_ROW | row
    assert rows.rescued.to_pylist() == [None, rescued]


def test_a_page_of_inner_objects_without_records_has_no_rows():
    assert len(JsonPages(SHAPED[1:], under="records").read(b'{"records":[]}')) == 0
