"""Every type that is served, with its extremes, nulls and awkward texts: what a target holds is what silver holds."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

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
)
from data_platform.gold.serving.declared import Served, ServedColumn
from data_platform.gold.serving.target import TargetError
from data_platform.lake.errors import LakeError
from data_platform.lake.schema import arrow_type
from tests.integration.served.conftest import Silver

VALUES = {
    "text": (
        STRING,
        [
            "",
            " ",
            "NULL",
            "\\N",
            'a "quoted" word',
            "it's",
            "two\nlines\r\n",
            "tab\tand \\ back",
            "a,b;c|d",
            "été 😀 مرحبا",
        ],
    ),
    "said": (JSON, ['{"a": [1, "x\\"y"], "b": null}', "[]", "null"]),
    "is_paid": (BOOLEAN, [True, False]),
    "number": (INTEGER, [0, 2**63 - 1, -(2**63)]),
    "ratio": (DOUBLE, [0.1, 1e308, 5e-324, -1.5, math.inf, -math.inf]),
    "amount": (
        DECIMAL(18, 2),
        [Decimal("0.01"), Decimal("-9999999999999999.99"), Decimal("9999999999999999.99")],
    ),
    "wide": (
        DECIMAL(38, 10),
        [Decimal("9" * 28 + "." + "9" * 10), Decimal("-0.0000000001"), Decimal("1E+3")],
    ),
    "whole": (DECIMAL(38, 0), [Decimal("9" * 38), Decimal(0)]),
    "share": (DECIMAL(5, 5), [Decimal("0.99999"), Decimal("-0.00001")]),
    "day": (DATE, [date(1, 1, 1), date(1582, 10, 10), date(1970, 1, 1), date(9999, 12, 31)]),
    "moment": (
        TIMESTAMP,
        [
            datetime(1900, 1, 1, 0, 0, 0, 1, UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            datetime(9999, 12, 30, 23, 59, 59, 999_999, UTC),
        ],
    ),
    "bytes": (BINARY, [b"", b"\x00\xff\\x", bytes(range(256))]),
}
ROUNDS = max(len(values) for _, values in VALUES.values()) + 1


def table_of(*names):
    columns = (ServedColumn("id", INTEGER), *(ServedColumn(name, VALUES[name][0]) for name in names))
    return Served("kinds", "kinds", "Every type.", "team:data", ("id",), columns)


def silver_of(lake, table, rows):
    types = pa.schema([(column.name, arrow_type(column.type)) for column in table.columns])
    silver = Silver(lake, "kinds", types, ("id",))
    silver.change(*rows)
    return silver


def rows_of(names):
    """Each value once, and null beside it."""
    padded = {name: VALUES[name][1] + [None] * (ROUNDS - len(VALUES[name][1])) for name in names}
    return [{"id": number} | {name: padded[name][number] for name in names} for number in range(ROUNDS)]


def served_kinds(loading):
    return [name for name in VALUES if name != "bytes" or loading.name == "postgres"]


@pytest.mark.parametrize("name", [name for name in VALUES if name != "bytes"])
def test_each_value_of_a_type_arrives_as_it_is(loading, lake, name):
    table, rows = table_of(name), rows_of([name])
    silver_of(lake, table, rows)

    loading.load(table)

    held = dict(loading.rows(table))
    assert held == {row["id"]: row[name] for row in rows}


def test_bytes_arrive_in_postgres_as_they_are(to_postgres, lake):
    table, rows = table_of("bytes"), rows_of(["bytes"])
    silver_of(lake, table, rows)

    to_postgres.load(table)

    held = {key: None if value is None else bytes(value) for key, value in to_postgres.rows(table)}
    assert held == {row["id"]: row["bytes"] for row in rows}


def test_what_is_no_number_stays_so(loading, lake):
    table = table_of("ratio")
    silver_of(lake, table, [{"id": 1, "ratio": math.nan}])

    loading.load(table)

    assert math.isnan(loading.rows(table)[0][1])


def test_all_types_together_change_to_null_and_back(loading, lake):
    names = served_kinds(loading)
    table, rows = table_of(*names), rows_of(names)
    silver = silver_of(lake, table, rows)
    loading.load(table)
    silver.change(*({"id": row["id"]} for row in rows))
    loading.load(table)
    assert loading.rows(table) == [(number, *[None] * len(names)) for number in range(ROUNDS)]

    silver.change(*rows)
    loading.load(table)

    numbers = {name: place for place, name in enumerate(["id", *names])}
    for held, row in zip(loading.rows(table), rows, strict=True):
        for name in ("text", "number", "amount", "wide", "day"):
            assert held[numbers[name]] == row[name], name


def test_a_nul_in_a_text_is_left_out(loading, lake):
    table = table_of("text")
    silver_of(lake, table, [{"id": 1, "text": "a\0b\0"}, {"id": 2, "text": "plain"}])

    loading.load(table)

    assert loading.rows(table) == [(1, "ab"), (2, "plain")]


def test_redshift_refuses_a_text_that_is_too_long_by_name_and_not_by_value(to_redshift, lake):
    table = table_of("text")
    silver = silver_of(lake, table, [{"id": 1, "text": "é" * 32_767}])
    to_redshift.load(table)
    assert to_redshift.rows(table) == [(1, "é" * 32_767)]

    silver.change({"id": 2, "text": "é" * 32_768})
    with pytest.raises(TargetError, match="1 values of text are longer than the 65,535 bytes") as refused:
        to_redshift.load(table)

    assert "é" not in str(refused.value)
    assert len(to_redshift.rows(table)) == 1


def test_redshift_refuses_bytes_before_anything_is_read(to_redshift, lake):
    table = table_of("bytes")
    silver_of(lake, table, rows_of(["bytes"]))

    with pytest.raises(TargetError, match="Redshift can't be given bytes, a binary"):
        to_redshift.load(table)

    assert not to_redshift.has("kinds")


def test_a_column_that_silver_lacks_is_named(loading, lake):
    silver_of(lake, table_of("text"), [{"id": 1, "text": "a"}])

    with pytest.raises(LakeError, match="has no number, of which kinds is served"):
        loading.load(table_of("text", "number"))
