"""Rows that are close in their keys come to lie in the same files, in bounded memory, and none is lost."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.lake import ordering
from data_platform.lake.append import Appender
from data_platform.lake.compaction import live_files
from data_platform.lake.ordering import is_ordered, reorder
from data_platform.lake.schema import LANDED_ON, TIMESTAMP_TYPE
from data_platform.lake.tables import Note

SCHEMA = pa.schema(
    [
        ("user", pa.string()),
        ("task", pa.int64()),
        ("note", pa.string()),
        ("_batch", pa.int64()),
        ("_landed_at", TIMESTAMP_TYPE),
        (LANDED_ON, pa.date32()),
    ]
)
USERS, TASKS = 40, 40


@pytest.fixture
def tasks(lake):
    """Each user with each task, in no order, in four commits; and a row without a user."""
    table = lake.at("bronze", "app", "tasks").create(SCHEMA, ("user", "task", "_batch"), by_day=LANDED_ON)
    pairs = [{"user": f"u{user:03}", "task": task} for user in range(USERS) for task in range(TASKS)]
    random.Random(7).shuffle(pairs)  # noqa: S311 - the same each time
    pairs.append({"user": None, "task": 7})
    appender = Appender(table)
    for part in range(4):
        rows = [{**pair, "note": "ü" * 20} for pair in pairs[part::4]]
        appender.write(pa.RecordBatch.from_pylist(rows))
        appender.commit(Note({"reached": part}))
    return table.fresh()


def content(table) -> list[tuple]:
    rows = table.fresh().query('select "user", task, note, _batch, _landed_at from held').to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=repr)


def files_for(table, column: str, value: object) -> int:
    """How many files a question about one value has to open, as their statistics tell."""
    stats = [json.loads(each["stats"]) for each in added(table)]
    return sum(each["minValues"][column] <= value <= each["maxValues"][column] for each in stats)


def added(table) -> list[dict]:
    commit = Path(table.uri, "_delta_log", f"{table.version:020}.json").read_text().splitlines()
    return [json.loads(line)["add"] for line in commit if '"add"' in line]


def test_no_row_changes_and_the_position_stays(tasks):
    before = content(tasks)
    reorder(tasks, live_files(tasks), ("user", "task"))
    held = tasks.fresh()
    assert content(held) == before
    assert (held.batch, held.position, is_ordered(live_files(held))) == (4, {"reached": 3}, True)


def test_by_one_column_the_rows_lie_in_its_order(tasks):
    reorder(tasks, live_files(tasks), ("user",))
    (file,) = Path(tasks.uri).rglob("ordered-*.parquet")
    users = pq.ParquetFile(file).read(columns=["user"]).column("user").to_pylist()
    assert users[0] is None
    assert users[1:] == sorted(users[1:])
    assert len(users) == USERS * TASKS + 1


def test_by_several_columns_each_of_them_leaves_most_files_out(tasks, monkeypatch):
    monkeypatch.setattr(ordering, "FILE_ROWS", 100)
    reorder(tasks, live_files(tasks), ("user", "task"))
    held = tasks.fresh()
    assert len(live_files(held)) == 16
    assert len(content(held)) == USERS * TASKS + 1
    for column, values in (("user", [f"u{n:03}" for n in range(USERS)]), ("task", list(range(TASKS)))):
        opened = [files_for(held, column, value) for value in values]
        # Four files across and four down; the edges of a sample are not the edges of the values.
        assert sum(opened) / len(opened) < 8, column


def test_it_ends_where_all_rows_have_one_key(lake, monkeypatch):
    monkeypatch.setattr(ordering, "FILE_ROWS", 10)
    table = lake.at("bronze", "app", "same").create(SCHEMA, ("user", "_batch"), by_day=LANDED_ON)
    appender = Appender(table)
    appender.write(pa.RecordBatch.from_pydict({"user": ["a"] * 50}))
    appender.commit(Note({}))
    reorder(table.fresh(), live_files(table.fresh()), ("user",))
    assert table.fresh().query("select count(*) as n from held")["n"].to_pylist() == [50]
