"""A merge reads the files that can hold its keys, and says no person's number in its commit."""

import json
from pathlib import Path

import pytest

from data_platform.lake import merge as merging
from data_platform.lake.merge import Merge, create, merge
from data_platform.lake.ranges import MOST_RANGES, Stretch, _put_together
from data_platform.lake.tables import Note

CLAUSES = "when matched then update set * when not matched then insert *"
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
    return info["operationParameters"]["predicate"]


@pytest.mark.parametrize("plain", [("id",), ()], ids=["a number of no one's", "a person's number"])
def test_a_merge_ends_alike_whether_it_may_name_keys_or_not(spark, table, plain):
    before = files(table)
    assert len(before) >= 5
    incoming = numbered(spark, [3, 58, ROWS + 1], "changed")
    merge(spark, table, incoming, Merge(("id",), CLAUSES, plain, 3), Note({"a": 2}))
    rows = table.fresh().query("select id, said from held").to_pylist()
    assert {row["id"]: row["said"] for row in rows} == {f"O-{n:04d}": "first" for n in range(ROWS)} | {
        f"O-{n:04d}": "changed" for n in (3, 58, ROWS + 1)
    }
    assert len(rows) == ROWS + 1
    # Those between the two are neither read nor written.
    assert len(before & files(table)) == len(before) - 2
    assert ("O-" in condition(table)) == bool(plain)


def test_keys_that_no_file_can_hold_are_put_in(spark, table):
    before = files(table)
    merge(
        spark, table, numbered(spark, [900, 901], "new"), Merge(("id",), CLAUSES, ("id",), 2), Note({"a": 2})
    )
    assert table.fresh().rows == ROWS + 2
    assert before < files(table)


def test_many_stretches_are_said_in_few_of_which_none_is_lost():
    places = set(range(0, 60, 3))
    held = [Stretch(place * 10, place * 10 + 9) for place in sorted(places)]
    ranges = _put_together(held, places)
    assert len(ranges) <= MOST_RANGES
    assert all(any(each.low <= one.low and one.high <= each.high for each in ranges) for one in held)
