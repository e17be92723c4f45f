"""Maintenance makes tables fast and changes nothing that they say: rows, batches and position stay."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from data_platform.lake import maintenance
from data_platform.lake.append import Appender
from data_platform.lake.maintenance import Tended, tend
from data_platform.lake.tables import Note

SCHEMA = pa.schema([("Id", pa.string()), ("Email", pa.string()), ("_batch", pa.int64())])


@pytest.fixture
def people(lake):
    """Five batches in a file each."""
    table = lake.at("bronze", "crm", "people").create(SCHEMA, ("Id", "_batch"))
    appender = Appender(table)
    for number in range(1, 6):
        rows = {"Id": [f"{number}a", f"{number}b"], "Email": [f"ann{number}@example.com"] * 2}
        appender.write(pa.RecordBatch.from_pydict(rows))
        appender.commit(Note({"reached": number}, {"offered": 2, "landed": 2, "complete": True}))
    return table.fresh()


def all_rows(table) -> list[dict]:
    return table.fresh().query('select * from held order by "Id"').to_pylist()


def test_small_files_become_one_and_nothing_else_changes(people):
    before = all_rows(people)
    assert tend(people) == Tended(files_before=5, files_after=1, deleted=0)
    held = people.fresh()
    assert all_rows(held) == before
    assert (held.batch, dict(held.position), held.receipt.landed) == (5, {"reached": 5}, 2)


def test_what_was_replaced_is_kept_for_readers_and_removed_in_time(people):
    tend(people)
    assert len(list(Path(people.uri).glob("*.parquet"))) == 6
    assert tend(people.fresh(), keep_replaced=timedelta(0)).deleted == 5
    assert len(list(Path(people.uri).glob("*.parquet"))) == 1
    held = people.fresh()
    assert (held.rows, held.batch, dict(held.position)) == (10, 5, {"reached": 5})


def test_what_a_killed_load_left_is_removed_in_time_and_what_is_being_written_is_not(people):
    left, written = Path(people.uri, "part-left.parquet"), Path(people.uri, "part-written.parquet")
    left.write_bytes(b"half a file")
    written.write_bytes(b"half a file")
    eight_days_ago = time.time() - 8 * 86_400
    os.utime(left, (eight_days_ago, eight_days_ago))
    assert tend(people).deleted == 1
    assert (left.exists(), written.exists(), people.fresh().rows) == (False, True, 10)


def test_files_that_are_large_enough_are_left_as_they_are(people, monkeypatch):
    sizes = [file.stat().st_size for file in Path(people.uri).glob("*.parquet")]
    monkeypatch.setattr(maintenance, "JOINED_BYTES", 2 * max(sizes))
    assert tend(people).files_after == 3
    assert len(all_rows(people)) == 10


def test_the_position_is_found_after_a_checkpoint_without_the_commits_before_it(people):
    tend(people, keep_replaced=timedelta(0))
    checkpointed = people.fresh().version
    log = Path(people.uri, "_delta_log")
    assert (log / "_last_checkpoint").exists()
    for commit in log.glob("*.json"):
        if commit.stem.isdigit() and int(commit.stem) < checkpointed:
            commit.unlink()
    held = people.fresh()
    assert (held.rows, held.batch, dict(held.position)) == (10, 5, {"reached": 5})


def test_loading_goes_on_after_maintenance_and_a_writer_from_before_it_is_told(people):
    tend(people, keep_replaced=timedelta(0))
    appender = Appender(people.fresh())
    appender.write(pa.RecordBatch.from_pydict({"Id": ["6a"]}))
    assert appender.commit(Note({"reached": 6})) == 6
    assert [row["Id"] for row in all_rows(people) if row["_batch"] > 5] == ["6a"]


def test_maintenance_in_the_middle_of_a_load_takes_nothing_from_it(people):
    appender = Appender(people.fresh())
    appender.write(pa.RecordBatch.from_pydict({"Id": ["6a"]}))
    tend(people.fresh())
    assert appender.commit(Note({"reached": 6})) == 6
    held = people.fresh()
    assert (held.rows, held.batch, dict(held.position)) == (11, 6, {"reached": 6})


def test_compaction_makes_no_statistics_of_a_personal_value(people):
    tend(people, keep_replaced=timedelta(0))
    log = Path(people.uri, "_delta_log")
    added = [
        json.loads(line)["add"]
        for commit in log.glob("*.json")
        for line in commit.read_text().splitlines()
        if '"add"' in line
    ]
    assert added
    for add in added:
        assert set(json.loads(add["stats"])["minValues"]) <= {"Id", "_batch"}
    assert not any(b"ann1@" in file.read_bytes() for file in log.iterdir())


def test_tending_again_changes_nothing(people):
    tend(people)
    assert tend(people.fresh()) == Tended(files_before=1, files_after=1, deleted=0)
    assert dict(people.fresh().position) == {"reached": 5}


def test_a_table_that_is_not_there_is_passed_over(lake):
    assert tend(lake.at("bronze", "nowhere")) == Tended(0, 0, 0)
