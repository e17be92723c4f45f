"""Tables of streams lie in a folder for each day that rows landed on; those that were made before go on as they are."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from data_platform.bronze.load import bronze_table
from data_platform.lake import append, maintenance
from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small, live_files
from data_platform.lake.maintenance import tend
from data_platform.lake.schema import LANDED_ON, bronze_schema, connector_schema
from data_platform.lake.tables import LakeTable, Note
from data_platform.sources.postgres import PAYMENTS
from data_platform.sources.salesforce import LEADS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Clock(datetime):
    """The time, as the test has it."""

    time = NOON

    @classmethod
    def now(cls, tz=None) -> datetime:
        return cls.time


@pytest.fixture
def clock(monkeypatch) -> type[Clock]:
    Clock.time = NOON
    for module in (append, maintenance):
        monkeypatch.setattr(module, "datetime", Clock)
    return Clock


def payments(*ids: int) -> pa.RecordBatch:
    rows = [{PAYMENTS.key[0]: number, "_op": "upsert"} for number in ids]
    return pa.RecordBatch.from_pylist(rows, schema=connector_schema(PAYMENTS))


def days_in(table: LakeTable) -> list[tuple[int, date]]:
    rows = table.fresh().query(f'select "{PAYMENTS.key[0]}" as id, {LANDED_ON} as day from held order by id')
    return [(row["id"], row["day"]) for row in rows.to_pylist()]


def folders(table: LakeTable) -> list[str]:
    return sorted(folder.name for folder in Path(table.uri).glob(f"{LANDED_ON}=*"))


def test_a_stream_s_rows_lie_by_the_day_they_landed(lake, clock):
    table = bronze_table(PAYMENTS, lake)
    appender = Appender(table)
    for day in range(3):
        clock.time = NOON + timedelta(days=day)
        appender.write(payments(day))
        appender.commit(Note({"reached": day}))
    assert folders(table) == [f"{LANDED_ON}=2026-06-0{day}" for day in (1, 2, 3)]
    assert days_in(table) == [(day, date(2026, 6, 1 + day)) for day in range(3)]
    held = table.fresh()
    assert held.query(f"select _batch from held where {LANDED_ON} = '2026-06-02'")["_batch"].to_pylist() == [
        2
    ]
    assert (held.batch, held.position) == (3, {"reached": 2})


def test_a_commit_that_the_day_ends_in_is_of_the_day_that_it_began_on(lake, clock, monkeypatch):
    monkeypatch.setattr(append, "ROW_GROUP_ROWS", 2)
    monkeypatch.setattr(append, "FILE_ROWS", 2)
    table = bronze_table(PAYMENTS, lake)
    appender = Appender(table)
    clock.time = NOON.replace(hour=23, minute=59, second=59)
    appender.write(payments(1, 2))
    clock.time += timedelta(seconds=2)
    appender.write(payments(3, 4))
    appender.commit(Note({}))
    appender.write(payments(5))
    appender.commit(Note({}))
    first, second = date(2026, 6, 1), date(2026, 6, 2)
    assert [day for _, day in days_in(table)] == [first] * 4 + [second]
    times = table.fresh().query(f"select distinct _landed_at as at, {LANDED_ON} as day from held").to_pylist()
    assert len(times) == 2
    assert all(row["at"].date() == row["day"] for row in times)


def test_a_process_that_waited_stamps_rows_with_the_time_they_came(lake, clock):
    table = bronze_table(PAYMENTS, lake)
    appender = Appender(table)
    clock.time += timedelta(hours=30)
    appender.write(payments(1))
    appender.commit(Note({}))
    assert days_in(table) == [(1, date(2026, 6, 2))]


def test_a_table_of_a_stream_that_was_made_without_days_goes_on_without_them(lake):
    before = bronze_schema(PAYMENTS).remove(bronze_schema(PAYMENTS).get_field_index(LANDED_ON))
    held = lake.bronze(PAYMENTS).create(before, (PAYMENTS.key[0], "_batch"))
    for number in range(3):
        appender = Appender(bronze_table(PAYMENTS, lake))
        appender.write(payments(number))
        appender.commit(Note({"reached": number}))
    assert LANDED_ON not in held.fresh().query("select * from held").column_names
    assert folders(held) == []
    assert tend(held.fresh(), PAYMENTS.key).files_after == 1
    assert held.fresh().position == {"reached": 2}


def test_only_streams_are_laid_out_by_days(lake):
    assert bronze_table(LEADS, lake).delta.metadata().partition_columns == []


def test_in_line_compaction_leaves_the_days_that_are_over(lake, clock):
    table = bronze_table(PAYMENTS, lake)
    appender = Appender(table)
    for number in range(6):
        clock.time = NOON + timedelta(days=number // 4)
        appender.write(payments(number))
        appender.commit(Note({}))
    assert compact_small(appender.table, 4).rows == 0
    for number in (6, 7):
        appender.write(payments(number))
        appender.commit(Note({}))
    assert compact_small(appender.table, 4).rows == 4
    files = live_files(table.fresh())
    assert [file.partition[LANDED_ON] for file in files] == ["2026-06-01"] * 4 + ["2026-06-02"]
    assert [number for number, _ in days_in(table)] == list(range(8))


def test_a_day_is_ordered_once_when_it_is_over_and_today_is_left(lake, clock):
    table = bronze_table(PAYMENTS, lake)
    appender = Appender(table)
    for number in (3, 1, 2, 9, 8):
        clock.time = NOON + timedelta(days=number // 8)
        appender.write(payments(number))
        appender.commit(Note({"reached": number}))
    tended = tend(table.fresh(), PAYMENTS.key)
    assert (tended.files_before, tended.files_after) == (5, 3)
    assert [file.path.split("/")[1].split("-")[0] for file in live_files(table.fresh())] == [
        "ordered",
        "part",
        "part",
    ]
    assert days_in(table) == [(1, date(2026, 6, 1)), (2, date(2026, 6, 1)), (3, date(2026, 6, 1)),
                              (8, date(2026, 6, 2)), (9, date(2026, 6, 2))]  # fmt: skip
    version = table.fresh().version
    assert tend(table.fresh(), PAYMENTS.key).files_after == 3
    assert table.fresh().version == version
    held = table.fresh()
    assert (held.batch, held.position) == (5, {"reached": 8})
