"""Every type of PostgreSQL comes out as it is, read whole and read from the WAL; what no type holds is rescued."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from data_platform.declarations import (
    BINARY,
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    HOURLY,
    INTEGER,
    JSON,
    LIST,
    STRING,
    TIMESTAMP,
    Column,
    SourceTable,
    Stream,
    years,
)

THINGS = SourceTable(
    system="postgres",
    name="things",
    reads="public.things",
    description="One column of each type.",
    key=("id",),
    load=Stream(order="lsn"),
    every=HOURLY,
    owner="team:shop",
    keep_for=years(1),
    columns=(
        Column("id", STRING, required=True),
        Column("whole", INTEGER),
        Column("exact", DECIMAL(20, 4)),
        Column("real", DOUBLE),
        Column("is_so", BOOLEAN),
        Column("day", DATE),
        Column("moment", TIMESTAMP),
        Column("local_moment", TIMESTAMP),
        Column("document", JSON),
        Column("words", LIST(STRING)),
        Column("amounts", LIST(DECIMAL(10, 2))),
        Column("grid", JSON),
        Column("bytes", BINARY),
        Column("mood", STRING),
        Column("padded", STRING),
        Column("lasting", STRING),
    ),
)
TABLE = """
create type mood as enum ('glad', 'so-so');
create table things (
    id uuid primary key, whole bigint, exact numeric, real float4, is_so boolean, day date, moment timestamptz,
    local_moment timestamp, document jsonb, words text[], amounts numeric[], grid int[][], bytes bytea, mood mood,
    padded char(8), lasting interval
)
"""
KEY = "0b5f6a3e-1c50-4a43-9a86-7f1a4b6b7c01"
FULL = (
    f"insert into things values ('{KEY}', 9223372036854775807, 1234567890123456.7891, 0.1, true, '2024-02-29', "
    "'2026-03-29 03:30:00.123456+02', '2026-03-29 02:30:00.5', '{\"b\": [1, 2.50, null], \"a\": \"ü\"}', "
    "array['a', null, '', 'x \"y\" \\z', 'NULL', '{,}'], array[1.50, null, 3], array[[1, 2], [3, 4]], "
    "'\\x00ff10'::bytea, 'so-so', 'ab', '1 day 02:03:04')"
)
HELD = {
    "whole": 9223372036854775807,
    "exact": Decimal("1234567890123456.7891"),
    "real": 0.1,
    "is_so": True,
    "day": date(2024, 2, 29),
    "moment": datetime(2026, 3, 29, 1, 30, 0, 123456, UTC),
    "local_moment": datetime(2026, 3, 29, 2, 30, 0, 500000, UTC),
    "words": ["a", None, "", 'x "y" \\z', "NULL", "{,}"],
    "amounts": [Decimal("1.50"), None, Decimal("3.00")],
    "bytes": b"\x00\xff\x10",
    "mood": "so-so",
    "padded": "ab",
    "lasting": "P1DT2H3M4S",
}
DOCUMENTS = {"document": {"a": "ü", "b": [1, 2.5, None]}, "grid": [[1, 2], [3, 4]]}


@pytest.fixture(params=["whole", "from the WAL"])
def landed(loading, request):
    """Lands what a statement inserts, one way or the other, and returns the row."""

    def land(statement: str) -> dict:
        loading.execute(TABLE)
        if request.param == "whole":
            loading.execute(statement)
        loading.load(THINGS)
        if request.param == "from the WAL":
            loading.execute(statement)
            loading.load(THINGS)
        (row,) = loading.rows(THINGS)
        return row

    return land


def test_every_type_keeps_its_value(landed):
    row = landed(FULL)
    assert {name: row[name] for name in HELD} == HELD
    assert {name: json.loads(row[name]) for name in DOCUMENTS} == DOCUMENTS
    assert (row["id"], row["_rescued"]) == (KEY, None)


def test_nulls_stay_nulls(landed):
    row = landed(f"insert into things (id) values ('{KEY}')")
    assert {name for name, value in row.items() if value is None} == {*HELD, *DOCUMENTS, "_rescued"}


def test_what_no_type_holds_is_rescued_and_the_rest_of_the_row_lands(landed):
    row = landed(
        "insert into things (id, exact, day, moment, local_moment, mood) values "
        f"('{KEY}', 'NaN', 'infinity', '-infinity', '0044-03-15 12:00 BC', 'glad')"
    )
    assert json.loads(row["_rescued"]) == {
        "exact": "NaN",
        "day": "infinity",
        "moment": "-infinity",
        "local_moment": "0044-03-15 12:00:00 BC",
    }
    assert (row["exact"], row["day"], row["moment"], row["local_moment"]) == (None,) * 4
    assert (row["id"], row["mood"]) == (KEY, "glad")


def test_a_number_with_more_digits_than_declared_is_rescued_with_all_of_them(landed):
    digits = "12345678901234567890123456789012345678901234567890.5"
    row = landed(f"insert into things (id, exact) values ('{KEY}', {digits})")
    assert row["exact"] is None
    assert json.loads(row["_rescued"], parse_float=str) == {"exact": digits}


def test_years_beyond_the_calendar_of_most_readers_are_rescued(landed):
    row = landed(
        f"insert into things (id, day, moment) values ('{KEY}', '12024-01-01', '12024-01-01 00:00Z')"
    )
    assert json.loads(row["_rescued"]) == {"day": "12024-01-01", "moment": "12024-01-01 00:00:00+00"}
