"""A span as a condition of SQL picks the rows after a place and below an end, and no other."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from data_platform.connectors.incremental import Place, Span, Whole
from data_platform.connectors.keyset import Dialect
from data_platform.declarations import (
    DAILY,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    SourceTable,
    days,
)

TABLE = SourceTable(
    system="any",
    name="readings",
    reads="readings",
    description="A table with a key of two parts.",
    key=("site", "number"),
    load=Incremental(cursor="at", overlap=timedelta(minutes=1)),
    every=DAILY,
    owner="team:data",
    keep_for=days(1),
    columns=(
        Column("site", STRING, required=True),
        Column("number", INTEGER, required=True),
        Column("at", TIMESTAMP, required=True),
    ),
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIALECT = Dialect(
    name=lambda name: f'"{name}"',
    moment=lambda moment: f"'{moment.isoformat()}'",
    value=lambda column, value: str(value) if column.type == INTEGER else f"'{value}'",
)
ROWS = sorted(
    (NOON + timedelta(hours=hour), site, number) for hour in range(3) for site in "ab" for number in range(3)
)


@pytest.fixture
def database():
    database = sqlite3.connect(":memory:")
    database.execute("create table readings (at text, site text, number integer)")
    database.executemany(
        "insert into readings values (?, ?, ?)", [(at.isoformat(), site, number) for at, site, number in ROWS]
    )
    return database


def read(database, span):
    found = database.execute(
        f"select at, site, number from readings where {DIALECT.within(TABLE, span)} "
        f"order by {DIALECT.order(TABLE, span)}"
    )
    return [(datetime.fromisoformat(at), site, number) for at, site, number in found]


def test_every_place_splits_the_rows_into_those_read_and_those_to_come(database):
    end = NOON + timedelta(hours=2)
    below = [row for row in ROWS if row[0] < end]
    assert read(database, Span(None, end)) == below
    for count, (at, site, number) in enumerate(below, start=1):
        assert read(database, Span(Place(at, (site, number)), end)) == below[count:]


def test_every_key_splits_the_whole_table_into_rows_read_and_rows_to_come(database):
    end = NOON + timedelta(hours=2)
    database.execute("create unique index readings_key on readings (site, number, at)")
    database.execute("update readings set at = null where at = ?", [NOON.isoformat()])

    def keys(after):
        whole = Whole(end, after)
        rows = database.execute(
            f"select site, number from readings where {DIALECT.within(TABLE, whole)} "
            f"order by {DIALECT.order(TABLE, whole)}"
        )
        return rows.fetchall()

    # Those of noon have lost their moment, and are of the whole table all the same.
    below = sorted((site, number) for at, site, number in ROWS if at < end)
    assert keys(()) == below
    for after in sorted(set(below)):
        assert keys(after) == [key for key in below if key > after]


def test_a_place_without_a_key_stands_before_all_rows_of_its_moment(database):
    hour = NOON + timedelta(hours=1)
    assert read(database, Span(Place(hour), hour + timedelta(hours=9))) == [
        row for row in ROWS if row[0] >= hour
    ]
