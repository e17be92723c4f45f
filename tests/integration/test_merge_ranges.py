"""A merge reads the files that can hold its keys, and says no person's number in its commit."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.lake import merge as merging
from data_platform.lake.errors import CommitLost
from data_platform.lake.merge import Merge, create, insert, merge, update
from data_platform.lake.ranges import MOST_RANGES, Range, _put_together
from data_platform.lake.tables import Note
from data_platform.lake.worked_out import Few, Many
from tests.integration.kinds import FORTY_OF_EACH_KIND

COLUMNS = ("id", "said")
CLAUSES = (update(COLUMNS), insert(COLUMNS))
ROWS, FILE_ROWS = 60, 10


def numbered(spark, numbers, said):
    return spark.createDataFrame([(f"O-{number:04d}", said) for number in numbers], "id string, said string")


@pytest.fixture
def table(spark, lake, monkeypatch):
    monkeypatch.setattr(merging, "FILE_ROWS", FILE_ROWS)
    held = lake.silver("orders")
    create(
        spark, held, numbered(spark, range(ROWS), "first"), Note({"a": 1}), ("id",), order=("id",), count=ROWS
    )
    return held.fresh()


def files(table) -> set[str]:
    return set(table.fresh().delta.file_uris())


def condition(table) -> str:
    newest = max(Path(table.uri, "_delta_log").glob("*.json"))
    lines = map(json.loads, newest.read_text().splitlines())
    (info,) = (line["commitInfo"] for line in lines if "commitInfo" in line)
    return json.dumps(info["operationParameters"])


SIDES = pytest.mark.parametrize(
    ("few", "side"),
    [(merging.FEW, Few), (merging.FEW, Many), (0, Many), (0, Few)],
    ids=["few rows", "few rows of many", "many rows", "rows said to be few"],
)


@SIDES
@pytest.mark.parametrize("plain", [("id",), ()], ids=["a number of no one's", "a person's number"])
def test_a_merge_ends_alike_whether_it_may_name_keys_or_not(spark, table, plain, few, side, monkeypatch):
    monkeypatch.setattr(merging, "FEW", few)
    before = files(table)
    assert len(before) >= 5
    incoming = side.of(numbered(spark, [3, 58, ROWS + 1], "changed"))
    merge(spark, table, incoming, Merge(("id",), CLAUSES, plain, 3), Note({"a": 2}))
    rows = table.fresh().query("select id, said from held").to_pylist()
    assert {row["id"]: row["said"] for row in rows} == {f"O-{n:04d}": "first" for n in range(ROWS)} | {
        f"O-{n:04d}": "changed" for n in (3, 58, ROWS + 1)
    }
    assert len(rows) == ROWS + 1
    # Those between the two are neither read nor written.
    assert len(before & files(table)) == len(before) - 2
    assert ("O-" in condition(table)) == bool(plain and few)


def test_keys_that_no_file_can_hold_are_put_in(spark, table):
    before = files(table)
    incoming = Few.of(numbered(spark, [900, 901], "new"))
    merge(spark, table, incoming, Merge(("id",), CLAUSES, ("id",), 2), Note({"a": 2}))
    assert table.fresh().rows == ROWS + 2
    assert before < files(table)


def test_new_keys_that_fall_into_a_file_are_not_held_against_its_rows(spark, table):
    """A merge reads whole rows, in all their columns, wherever it is told to look."""
    before = files(table)
    incoming = spark.createDataFrame([("O-0003x", "new"), ("O-0058", "changed")], "id string, said string")
    merge(spark, table, Few.of(incoming), Merge(("id",), CLAUSES, ("id",), 2), Note({"a": 2}))
    said = table.fresh().query(
        "select said from held where id in ('O-0003x', 'O-0003', 'O-0058') order by id"
    )
    assert said.column("said").to_pylist() == ["first", "new", "changed"]
    assert len(before - files(table)) == 1
    assert "O-0003" not in condition(table)


MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [*FORTY_OF_EACH_KIND, ("timestamp", [MOMENT + timedelta(microseconds=n * 333) for n in range(40)])],
)
def test_files_are_found_by_keys_of_each_kind(spark, lake, monkeypatch, kind, keys):
    monkeypatch.setattr(merging, "FILE_ROWS", 5)

    def rows(wanted, said):
        return spark.createDataFrame([(key, said) for key in wanted], f"id {kind}, said string")

    held = lake.silver("things")
    create(spark, held, rows(keys, "first"), Note({"a": 1}), ("id",), order=("id",), count=len(keys))
    held = held.fresh()
    before = files(held)
    changed = [keys[2], keys[-1]]
    merge(spark, held, Few.of(rows(changed, "changed")), Merge(("id",), CLAUSES, ("id",), 2), Note({"a": 2}))
    said = {row["id"]: row["said"] for row in held.fresh().query("select id, said from held").to_pylist()}
    assert said == {key: "changed" if key in changed else "first" for key in keys}
    assert len(before - files(held)) == 2
    assert " >= " in condition(held)


@pytest.mark.parametrize("side", [Few, Many])
def test_lists_that_are_all_empty_are_merged(spark, lake, side):
    """Spark hands them over without offsets."""
    kind = "id string, said string, reasons array<string>, of struct<places: array<bigint>>"
    held, columns = lake.silver("things"), ("id", "said", "reasons", "of")
    rows = [("a", "first", [], ([],)), ("b", "first", ["x"], ([1],))]
    create(spark, held, spark.createDataFrame(rows, kind), Note({"a": 1}), ("id",), order=("id",), count=2)
    incoming = spark.createDataFrame([("a", "changed", [], ([],)), ("c", "new", [], ([],))], kind)
    merge(
        spark,
        held.fresh(),
        side.of(incoming),
        Merge(("id",), (update(columns), insert(columns)), ("id",), 2),
        Note({"a": 2}),
    )
    found = held.fresh().query("select * from held order by id").to_pylist()
    assert [(row["id"], row["said"], row["reasons"], row["of"]["places"]) for row in found] == [
        ("a", "changed", [], []),
        ("b", "first", ["x"], [1]),
        ("c", "new", [], []),
    ]


@SIDES
def test_a_merge_into_what_another_has_changed_since_is_lost(spark, table, monkeypatch, few, side):
    monkeypatch.setattr(merging, "FEW", few)
    behind, how = table.fresh(), Merge(("id",), CLAUSES, ("id",), 1)
    assert behind.exists
    merge(spark, table, side.of(numbered(spark, [1], "by 1")), how, Note({"a": 2, "by": 1}))
    with pytest.raises(CommitLost):
        merge(spark, behind, side.of(numbered(spark, [2], "by 2")), how, Note({"a": 2, "by": 2}))
    assert table.fresh().position == {"a": 2, "by": 1}
    assert table.fresh().query("select count(*) as n from held where said = 'by 2'")["n"].to_pylist() == [0]


def test_no_row_moves_the_position_and_makes_no_batch(spark, table):
    how = Merge(("id",), CLAUSES, ("id",), 0)
    merge(spark, table, Few.of(numbered(spark, [], "none")), how, Note({"a": 2}))
    moved = table.fresh()
    assert (moved.position, moved.batch, moved.rows) == ({"a": 2}, table.batch, ROWS)


def test_many_stretches_are_said_in_few_of_which_none_is_lost():
    places = set(range(0, 60, 3))
    held = [Range(place * 10, place * 10 + 9) for place in sorted(places)]
    ranges = _put_together(held, places)
    assert len(ranges) <= MOST_RANGES
    assert all(any(each.low <= one.low and one.high <= each.high for each in ranges) for one in held)
