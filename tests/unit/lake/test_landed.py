"""What landed before is told apart from what is new, whatever its type and whichever value is null."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from data_platform.bronze.load import bronze_table
from data_platform.declarations import (
    BOOLEAN,
    DAILY,
    DATE,
    DECIMAL,
    DOUBLE,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    SourceTable,
    Window,
    years,
)
from data_platform.lake.append import Appender
from data_platform.lake.landed import LandedTable
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import Note

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
VALUES = {
    "Paid": (BOOLEAN, True, False),
    "Amount": (DECIMAL(18, 2), Decimal("0.10"), Decimal("0.11")),
    "Score": (DOUBLE, 0.1, 0.2),
    "Pieces": (INTEGER, 2**60, 2**60 + 1),
    "On": (DATE, date(2026, 6, 1), date(2026, 6, 2)),
    "SeenAt": (TIMESTAMP, NOON, NOON + timedelta(microseconds=1)),
    "Note": (STRING, 'ann "the" \x00 one', ""),
}
ORDERS = SourceTable(
    system="shop",
    name="orders",
    reads="Order",
    key=("Id",),
    load=Incremental(cursor="ChangedAt", overlap=timedelta(minutes=1)),
    every=DAILY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("Id", STRING, required=True),
        Column("ChangedAt", TIMESTAMP, required=True),
        *(Column(name, values[0]) for name, values in VALUES.items()),
    ),
    description="What customers ordered.",
)


def batch(*rows: dict) -> pa.RecordBatch:
    usual = {"ChangedAt": NOON, "_op": "upsert"}
    return pa.RecordBatch.from_pylist([usual | row for row in rows], schema=connector_schema(ORDERS))


def landed(lake, *batches: pa.RecordBatch) -> LandedTable:
    appender = Appender(bronze_table(ORDERS, lake))
    for number, rows in enumerate(batches):
        appender.write(rows)
        appender.commit(Note({"number": number}))
    return LandedTable(ORDERS, lake.bronze(ORDERS))


@pytest.mark.parametrize("name", VALUES)
def test_a_row_is_known_by_each_type_of_value_and_by_its_absence(lake, name):
    _, one, other = VALUES[name]
    seen = landed(lake, batch({"Id": "a", name: one}, {"Id": "b", name: None})).rows_like(("Id", name), NOON)
    offered = batch(
        {"Id": "a", name: one},
        {"Id": "a", name: other},
        {"Id": "a", name: None},
        {"Id": "b", name: None},
        {"Id": "b", name: other},
    )
    fresh = seen.without(offered).select(["Id", name]).to_pylist()
    assert fresh == [{"Id": "a", name: other}, {"Id": "a", name: None}, {"Id": "b", name: other}]


def test_only_rows_from_the_given_cursor_on_are_looked_at(lake):
    held = landed(lake, batch({"Id": "a"}, {"Id": "b", "ChangedAt": NOON + timedelta(hours=1)}))
    seen = held.rows_like(("Id",), NOON + timedelta(minutes=30))
    assert seen.without(batch({"Id": "a"}, {"Id": "b"})).column("Id").to_pylist() == ["a"]


def test_without_a_cursor_each_keys_newest_row_is_looked_at(lake):
    later = NOON + timedelta(hours=1)
    held = landed(
        lake,
        batch({"Id": "a", "Note": "new", "ChangedAt": later}, {"Id": "b", "Note": "old"}),
        batch({"Id": "a", "Note": "old"}, {"Id": "b", "Note": "new"}),
    )
    offered = batch(*({"Id": key, "Note": note} for key in "ab" for note in ("old", "new")))
    fresh = held.rows_like(("Id", "Note"), None).without(offered).select(["Id", "Note"]).to_pylist()
    assert fresh == [{"Id": "a", "Note": "old"}, {"Id": "b", "Note": "old"}]


def test_live_keys_are_those_whose_newest_row_is_no_deletion(lake):
    later = {"ChangedAt": NOON + timedelta(hours=1)}
    held = landed(
        lake,
        batch({"Id": "alive"}, {"Id": "gone"}, {"Id": "back", "_op": "delete"}, {"Id": "gone at once"}),
        batch(
            {"Id": "gone", "_op": "delete"} | later,
            {"Id": "back"} | later,
            {"Id": "gone at once", "_op": "delete"},
        ),
    )
    assert sorted(held.live_keys().column("Id").to_pylist()) == ["alive", "back"]


def test_an_empty_table_has_seen_nothing(lake):
    held = LandedTable(ORDERS, bronze_table(ORDERS, lake))
    assert held.position is None
    assert held.rows_like(("Id",), None).without(batch({"Id": "a"})).num_rows == 1
    assert held.live_keys().num_rows == 0


@pytest.mark.parametrize(
    ("cursor", "one", "since"), [("Pieces", 7, 8), ("On", date(2026, 6, 1), date(2026, 6, 2))]
)
def test_a_cursor_may_be_a_number_or_a_day(lake, cursor, one, since):
    table = replace(ORDERS, load=Incremental(cursor=cursor, overlap=timedelta(days=1)))
    held = LandedTable(table, landed(lake, batch({"Id": "a", cursor: one}, {"Id": "b", cursor: since})).held)
    assert held.rows_like(("Id",), since).without(batch({"Id": "a"}, {"Id": "b"})).column(
        "Id"
    ).to_pylist() == ["a"]


def test_a_cursor_without_an_order_is_refused(lake):
    with pytest.raises(TypeError, match="a cursor of type str has no order to follow; declare a timestamp"):
        landed(lake, batch({"Id": "a"})).rows_like(("Id",), "a")


DAY = date(2026, 6, 1)
WITH_DAY = tuple(
    replace(column, required=True) if column.name == "On" else column for column in ORDERS.columns
)


def windowed(lake, *batches: list[dict]) -> LandedTable:
    table = replace(
        ORDERS, key=("Id", "On"), load=Window(day="On", restated=timedelta(days=7)), columns=WITH_DAY
    )
    appender = Appender(bronze_table(table, lake))
    for number, rows in enumerate(batches):
        usual = {"On": DAY, "_op": "upsert"}
        appender.write(
            pa.RecordBatch.from_pylist([usual | row for row in rows], schema=connector_schema(table))
        )
        appender.commit(Note({"number": number}))
    return LandedTable(table, lake.bronze(table))


def test_in_a_window_a_value_that_went_back_is_new(lake):
    held = windowed(lake, [{"Id": "a", "Pieces": 1}], [{"Id": "a", "Pieces": 2}])
    seen = held.rows_like(("Id", "Pieces"), DAY)
    fresh = seen.without(batch({"Id": "a", "Pieces": 1}, {"Id": "a", "Pieces": 2}))
    assert fresh.column("Pieces").to_pylist() == [1]


def test_in_a_window_all_rows_that_share_a_key_and_a_batch_are_known(lake):
    held = windowed(lake, [{"Id": "a", "Pieces": 1}, {"Id": "a", "Pieces": 2}])
    seen = held.rows_like(("Id", "Pieces"), DAY)
    assert seen.without(batch({"Id": "a", "Pieces": 1}, {"Id": "a", "Pieces": 2})).num_rows == 0


def test_the_live_rows_of_some_days_are_those_not_deleted_last(lake):
    later = {"On": DAY + timedelta(days=1)}
    held = windowed(
        lake,
        [{"Id": "kept"}, {"Id": "gone"}, {"Id": "back", "_op": "delete"}, {"Id": "kept"} | later],
        [{"Id": "gone", "_op": "delete"}, {"Id": "back"}],
    )
    assert sorted(held.live_between(DAY, DAY, ["Id"]).column("Id").to_pylist()) == ["back", "kept"]
    assert held.live_between(DAY + timedelta(days=2), DAY + timedelta(days=9), ["Id"]).num_rows == 0


def test_only_rows_up_to_the_given_day_are_looked_at(lake):
    later = {"On": DAY + timedelta(days=1)}
    held = windowed(lake, [{"Id": "a"}, {"Id": "b"} | later])
    offered = batch({"Id": "a"}, {"Id": "b"})
    assert held.rows_like(("Id",), DAY, DAY).without(offered).column("Id").to_pylist() == ["b"]
