"""An append makes rows, position and receipt count in one commit, or leaves everything as it was."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from data_platform.lake.append import Appender
from data_platform.lake.errors import CommitLost
from data_platform.lake.tables import Note

SCHEMA = pa.schema(
    [
        ("Id", pa.string()),
        ("Email", pa.string()),
        ("ChangedAt", pa.timestamp("us", "UTC")),
        ("_batch", pa.int64()),
        ("_landed_at", pa.timestamp("us", "UTC")),
    ]
)
STATS = ("Id", "ChangedAt", "_batch", "_landed_at")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def people(lake):
    return lake.at("bronze", "crm", "people").create(SCHEMA, STATS)


def rows(*ids: str, email: str = "ann@example.com") -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {"Id": list(ids), "Email": [email] * len(ids), "ChangedAt": [NOON] * len(ids)},
        schema=SCHEMA.remove(4).remove(3),
    )


def land(table, *ids: str, reached: int, **receipt: int) -> int:
    appender = Appender(table.fresh())
    appender.write(rows(*ids))
    return appender.commit(Note({"reached": reached}, receipt))


def ids_in(table) -> list[str]:
    return table.fresh().query('select "Id" from held order by "Id"').column("Id").to_pylist()


def log_of(table) -> list[list[dict]]:
    """The actions of every commit, oldest first."""
    commits = sorted(Path(table.uri, "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in commit.read_text().splitlines()] for commit in commits]


def files_of(table) -> set[str]:
    return {file.name for file in Path(table.uri).glob("*.parquet")}


def test_rows_position_and_receipt_are_in_one_commit(people):
    assert land(people, "a", "b", reached=7, offered=2, landed=2) == 1
    held = people.fresh()
    assert (held.batch, held.rows, dict(held.position), held.receipt.landed) == (1, 2, {"reached": 7}, 2)
    creation, append = log_of(people)
    assert not any("add" in action for action in creation)
    assert [action["txn"]["version"] for action in append if "txn" in action] == [1]
    assert sum("add" in action for action in append) == 1
    (info,) = (action["commitInfo"] for action in append if "commitInfo" in action)
    assert json.loads(info["userMetadata"])["position"] == {"reached": 7}


def test_each_commit_is_a_batch_and_its_rows_say_which(people):
    before = datetime.now(UTC)
    appender = Appender(people)
    for batch, name in enumerate("abc", start=1):
        appender.write(rows(name))
        assert appender.commit(Note({"reached": batch})) == batch
    landed = people.fresh().query('select "Id", _batch, _landed_at from held order by "Id"').to_pylist()
    assert [(row["Id"], row["_batch"]) for row in landed] == [("a", 1), ("b", 2), ("c", 3)]
    assert all(before <= row["_landed_at"] <= datetime.now(UTC) for row in landed)
    assert dict(people.fresh().position) == {"reached": 3}


def test_what_the_rows_lack_is_null_and_values_take_the_tables_type(people):
    appender = Appender(people)
    coarse = pa.RecordBatch.from_pydict(
        {"ChangedAt": pa.array([NOON], pa.timestamp("s", "UTC")), "Id": ["a"]}
    )
    appender.write(coarse)
    appender.commit(Note({}))
    (row,) = people.fresh().query("select * from held").to_pylist()
    assert (row["Id"], row["Email"], row["ChangedAt"]) == ("a", None, NOON)


def test_of_two_writers_one_wins_and_the_other_changes_nothing(people):
    first, second = Appender(people.fresh()), Appender(people.fresh())
    first.write(rows("first"))
    second.write(rows("second"))
    first.commit(Note({"reached": 1}))
    with pytest.raises(
        CommitLost, match=r"another run wrote to .*/people .* goes on from the table's position"
    ):
        second.commit(Note({"reached": 2}))
    second.discard()
    assert ids_in(people) == ["first"]
    assert dict(people.fresh().position) == {"reached": 1}
    assert people.fresh().batch == 1
    assert len(files_of(people)) == 1


def test_the_winner_of_a_later_round_is_checked_too(people):
    first = Appender(people.fresh())
    first.write(rows("a"))
    first.commit(Note({"reached": 1}))
    land(people, "b", reached=2)
    first.write(rows("c"))
    with pytest.raises(CommitLost):
        first.commit(Note({"reached": 3}))
    assert ids_in(people) == ["a", "b"]
    assert dict(people.fresh().position) == {"reached": 2}


def test_a_foreign_commit_between_ours_takes_nothing_from_the_position(people):
    land(people, "a", reached=1)
    foreign = pa.Table.from_batches([rows("x")]).append_column("_batch", pa.array([0], pa.int64()))
    write_deltalake(people.uri, foreign, mode="append", schema_mode="merge")
    DeltaTable(people.uri).alter.set_table_properties({"delta.appendOnly": "false"})
    held = people.fresh()
    assert (held.batch, dict(held.position)) == (1, {"reached": 1})
    assert land(people, "b", reached=2) == 2
    assert ids_in(people) == ["a", "b", "x"]


def test_metadata_that_changes_during_a_load_asks_to_read_again(people):
    appender = Appender(people)
    appender.write(rows("a"))
    DeltaTable(people.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 30 days"})
    with pytest.raises(CommitLost):
        appender.commit(Note({"reached": 1}))
    assert land(people, "a", reached=1) == 1
    assert ids_in(people) == ["a"]
    assert dict(people.fresh().position) == {"reached": 1}


def test_discarding_leaves_no_file_and_no_commit(people, monkeypatch):
    monkeypatch.setattr("data_platform.lake.append.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr("data_platform.lake.append.FILE_ROWS", 25)
    appender = Appender(people)
    for number in range(65):
        appender.write(rows(str(number)))
    assert appender.rows == 65
    assert files_of(people)
    appender.discard()
    assert (appender.rows, files_of(people), len(log_of(people))) == (0, set(), 1)


def test_large_appends_are_split_into_files_in_one_commit(people, monkeypatch):
    monkeypatch.setattr("data_platform.lake.append.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr("data_platform.lake.append.FILE_ROWS", 25)
    appender = Appender(people)
    for number in range(100):
        appender.write(rows(f"{number:03}"))
    appender.commit(Note({"reached": 100}))
    added = [action["add"] for action in log_of(people)[-1] if "add" in action]
    assert [json.loads(add["stats"])["numRecords"] for add in added] == [30, 30, 30, 10]
    assert ids_in(people) == [f"{number:03}" for number in range(100)]


def test_statistics_are_kept_of_keys_cursor_and_batch_and_of_nothing_personal(people):
    land(people, "b", "a", reached=1)
    land(people, "c", reached=2)
    added = [action["add"] for commit in log_of(people) for action in commit if "add" in action]
    first = json.loads(added[0]["stats"])
    assert first["numRecords"] == 2
    assert (first["minValues"]["Id"], first["maxValues"]["Id"]) == ("a", "b")
    assert first["minValues"]["ChangedAt"] == "2026-06-01T12:00:00.000000Z"
    for add in added:
        said = json.loads(add["stats"])
        assert set(said["minValues"]) == set(said["maxValues"]) == set(said["nullCount"]) == set(STATS)
    assert not any(b"ann@" in file.read_bytes() for file in Path(people.uri, "_delta_log").iterdir())


def test_a_file_itself_keeps_no_statistics_of_a_personal_value(people):
    land(people, "a", reached=1)
    (file,) = Path(people.uri).glob("*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    said = {group.column(place).path_in_schema: group.column(place).is_stats_set for place in range(5)}
    assert said == {"Id": True, "Email": False, "ChangedAt": True, "_batch": True, "_landed_at": True}


def test_a_table_is_created_before_it_is_appended_to(lake):
    with pytest.raises(ValueError, match="must be created before rows are appended"):
        Appender(lake.at("bronze", "nowhere"))
