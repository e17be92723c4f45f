"""A table tells the position of the version that was opened, and tending it takes none back, whatever others commit."""

import os
from pathlib import Path

import pyarrow as pa

from data_platform.lake.append import Appender
from data_platform.lake.maintenance import tend
from data_platform.lake.tables import Lake, LakeTable, Note

SCHEMA = pa.schema([("id", pa.string()), ("_batch", pa.int64()), ("_landed_at", pa.timestamp("us", "UTC"))])


def made(tmp_path) -> LakeTable:
    return Lake(str(tmp_path)).at("bronze", "crm", "people").create(SCHEMA, ("id",))


def land(table: LakeTable, reached: int) -> None:
    appender = Appender(table.fresh())
    appender.write(
        pa.RecordBatch.from_pylist([{"id": str(reached)}], schema=pa.schema([("id", pa.string())]))
    )
    appender.commit(Note({"reached": reached}, {"landed": reached}))


def test_a_table_that_was_opened_tells_the_position_of_its_own_version(tmp_path):
    table = made(tmp_path)
    land(table, 1)
    opened = table.fresh()
    assert opened.version == 1
    land(table, 2)
    land(table, 3)
    assert (opened.batch, opened.position) == (1, {"reached": 1})
    assert opened.receipt.landed == 1
    assert opened.written_at < table.fresh().written_at


def test_a_table_that_is_tended_while_a_load_commits_keeps_that_load_s_position(tmp_path):
    table = made(tmp_path)
    land(table, 1)
    land(table, 2)
    opened = table.fresh()
    assert opened.position == {"reached": 2}
    land(table, 3)
    tend(opened)
    after = table.fresh()
    assert (after.batch, after.position) == (3, {"reached": 3})
    assert after.query("select id from held order by id").column("id").to_pylist() == ["1", "2", "3"]
    land(after, 4)
    assert table.fresh().position == {"reached": 4}


def test_a_position_that_is_set_back_is_in_force_until_the_next_load(tmp_path):
    table = made(tmp_path)
    land(table, 1)
    land(table, 2)
    table.fresh().set_position({"reached": 1})
    tend(table.fresh())
    assert table.fresh().position == {"reached": 1}


def aged(table: LakeTable) -> None:
    """Its log is of days ago, so that tending shortens it."""
    for file in (Path(table.uri) / "_delta_log").iterdir():
        os.utime(file, (0, 0))


def by_days(tmp_path) -> LakeTable:
    """A table of which tending leaves today's files as they are, and so commits nothing."""
    schema = SCHEMA.append(pa.field("_landed_on", pa.date32()))
    return Lake(str(tmp_path)).at("bronze", "crm", "people").create(schema, ("id",), by_day="_landed_on")


def test_a_note_that_maintenance_carried_too_late_is_not_what_is_left_of_a_shortened_log(tmp_path):
    table = by_days(tmp_path)
    land(table, 1)
    opened = table.fresh()
    carried = opened.carrying()
    land(table, 2)
    opened.delta.create_write_transaction([], "append", opened.delta.schema(), commit_properties=carried)
    aged(table)
    tend(table.fresh(), order=("id",))
    assert not (tmp_path / "bronze/crm/people/_delta_log/00000000000000000002.json").exists()
    assert table.fresh().position == {"reached": 2}


def test_a_restored_table_keeps_its_position_when_its_log_is_shortened(tmp_path):
    table = by_days(tmp_path)
    for reached in (1, 2, 3):
        land(table, reached)
    table.fresh().delta.restore(2)
    aged(table)
    tend(table.fresh(), order=("id",))
    assert not (tmp_path / "bronze/crm/people/_delta_log/00000000000000000002.json").exists()
    assert table.fresh().position == {"reached": 2}


def test_a_restored_table_is_at_the_position_that_it_was_restored_to(tmp_path):
    table = made(tmp_path)
    for reached in (1, 2, 3):
        land(table, reached)
    table.fresh().delta.restore(2)
    assert table.fresh().position == {"reached": 2}
