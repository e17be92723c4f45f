"""Small files are put together between commits: fewer files, the same rows, and no row twice, whoever else commits."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from data_platform.lake import compaction
from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small, live_files
from data_platform.lake.errors import CommitLost
from data_platform.lake.maintenance import tend
from data_platform.lake.schema import LANDED_ON, TIMESTAMP_TYPE
from data_platform.lake.tables import LakeTable, Note

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("email", pa.string()),
        ("_batch", pa.int64()),
        ("_landed_at", TIMESTAMP_TYPE),
        (LANDED_ON, pa.date32()),
    ]
)


@pytest.fixture
def events(lake) -> LakeTable:
    return lake.at("bronze", "kafka", "events").create(SCHEMA, ("id", "_batch"), by_day=LANDED_ON)


def land(appender: Appender, number: int, rows: int = 1) -> None:
    ids = [f"{number:04d}-{row}" for row in range(rows)]
    appender.write(pa.RecordBatch.from_pydict({"id": ids, "email": [f"ann{number}@example.com"] * rows}))
    appender.commit(Note({"reached": number}, {"landed": rows}))


def all_rows(table: LakeTable) -> list[dict]:
    return table.fresh().query("select * from held order by id").to_pylist()


def landed(table: LakeTable) -> list[int]:
    """The numbers of what landed, each as often as it is there."""
    return [int(row["id"][:4]) for row in all_rows(table)]


def test_files_stay_few_and_every_row_stays_as_it_was(events):
    appender = Appender(events)
    most = 0
    before: dict[str, dict] = {}
    for number in range(1, 101):
        land(appender, number)
        if number % 10 == 0:
            before |= {row["id"]: row for row in all_rows(events) if int(row["_batch"]) > number - 10}
        most = max(most, compact_small(appender.table, 4).files_after)
    # Three of each of the sizes 1, 4, 16 and 64, and the one that comes next.
    assert most <= 3 * 4 + 1
    assert len(live_files(events.fresh())) <= 12
    assert all_rows(events) == [before[each] for each in sorted(before)]
    held = events.fresh()
    assert (held.batch, held.position, held.receipt.landed) == (100, {"reached": 100}, 1)


def test_a_row_is_copied_a_logarithmic_number_of_times(events):
    appender = Appender(events)
    copied = 0
    for number in range(64):
        land(appender, number)
        copied += compact_small(appender.table, 4).rows
    copied += sum(compact_small(events.fresh(), 4).rows for _ in range(3))
    # Into files of 4, of 16 and of 64 rows.
    assert copied == 3 * 64


def test_a_large_commit_is_not_copied_with_small_ones(events):
    appender = Appender(events)
    land(appender, 0, rows=1_000)
    for number in range(1, 5):
        land(appender, number)
    done = compact_small(appender.table, 4)
    assert (done.files_before, done.files_after, done.rows) == (5, 2, 4)
    assert sorted(file.rows for file in live_files(events.fresh())) == [4, 1_000]


def test_files_above_the_size_for_small_ones_are_left(events, monkeypatch):
    monkeypatch.setattr(compaction, "SMALL_BYTES", 10)
    appender = Appender(events)
    for number in range(8):
        land(appender, number)
    assert compact_small(appender.table, 4) == compaction.Compacted(8, 8)


def test_with_nothing_to_do_nothing_is_committed_or_read_anew(events, monkeypatch):
    appender = Appender(events)
    land(appender, 1)
    version = events.fresh().version
    monkeypatch.setattr(LakeTable, "fresh", lambda _: pytest.fail("the table was opened again"))
    assert compact_small(appender.table, 4) == compaction.Compacted(1, 1)
    assert DeltaTable(events.uri).version() == version


def test_the_files_of_one_batch_range_lie_together_so_that_a_read_by_batch_opens_few(events):
    appender = Appender(events)
    for number in range(1, 17):
        land(appender, number)
        compact_small(appender.table, 4)
    for _ in range(2):
        compact_small(events.fresh(), 4)
    appender = Appender(events.fresh())
    for number in range(17, 20):
        land(appender, number)
    files = pa.table(events.fresh().delta.get_add_actions(flatten=True)).to_pylist()
    assert sorted((file["min._batch"], file["max._batch"]) for file in files) == [
        (1, 16), (17, 17), (18, 18), (19, 19),
    ]  # fmt: skip


def test_files_from_before_a_column_was_added_are_put_together_with_later_ones(events):
    for number in range(2):
        land(Appender(events.fresh()), number)
    widened = events.fresh().create(
        SCHEMA.append(pa.field("score", pa.int64())), ("id", "_batch"), "", LANDED_ON
    )
    appender = Appender(widened)
    for number in (2, 3):
        appender.write(pa.RecordBatch.from_pydict({"id": [f"{number:04d}"], "score": [number]}))
        appender.commit(Note({"reached": number}))
    assert compact_small(appender.table, 4).files_after == 1
    assert [row["score"] for row in all_rows(events)] == [None, None, 2, 3]


def test_statistics_of_a_new_file_say_nothing_personal(events):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    compact_small(appender.table, 4)
    log = Path(events.uri, "_delta_log")
    newest = max(log.glob("*.json")).read_text().splitlines()
    (added,) = [json.loads(line)["add"] for line in newest if '"add"' in line]
    assert set(json.loads(added["stats"])["minValues"]) == {"id", "_batch"}
    assert added["dataChange"] is False
    assert not any(b"ann1@" in file.read_bytes() for file in log.iterdir())


def test_of_two_that_put_the_same_files_together_one_wins_and_no_row_is_there_twice(events):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    late = events.fresh()
    files = live_files(late)
    assert compact_small(appender.table, 4).files_after == 1
    with pytest.raises(CommitLost, match=r"another run replaced 4 files of .*/events .*nothing of this run"):
        compaction.rewrite(late, files)
    assert landed(events) == [0, 1, 2, 3]
    assert len(list(Path(events.uri).rglob("*.parquet"))) == 5


def test_maintenance_that_was_opened_before_another_s_puts_no_row_in_twice(lake):
    table = lake.at("bronze", "crm", "people").create(SCHEMA.remove(4), ("id", "_batch"))
    for number in range(4):
        land(Appender(table.fresh()), number)
    late = table.fresh()
    assert late.rows == 4
    tend(table.fresh())
    with pytest.raises(CommitLost):
        tend(late)
    assert landed(table) == [0, 1, 2, 3]


@pytest.fixture
def met_by(monkeypatch) -> Callable[[Callable[[], None]], None]:
    """Something that happens between the copying of rows and the commit that names the new file."""

    def arrange(happens: Callable[[], None]) -> None:
        commit = compaction._commit
        monkeypatch.setattr(compaction, "_commit", lambda *told: (happens(), commit(*told)))

    return arrange


def test_what_is_committed_while_rows_are_copied_is_there_as_well(events, met_by):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    beside = events.fresh()
    met_by(lambda: land(appender, 4))
    assert compact_small(beside, 4).rows == 4
    assert landed(events) == [0, 1, 2, 3, 4]
    land(appender, 5)
    held = events.fresh()
    assert (held.batch, held.position, len(live_files(held))) == (6, {"reached": 5}, 3)


def test_killed_before_its_commit_it_leaves_the_table_as_it_was(events, met_by, monkeypatch):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    version = events.fresh().version
    # A process that is killed removes nothing that it wrote.
    monkeypatch.setattr(compaction.Folder, "discard", lambda *_: None)
    met_by(lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        compact_small(events.fresh(), 4)
    assert (events.fresh().version, landed(events)) == (version, [0, 1, 2, 3])
    monkeypatch.undo()
    assert compact_small(events.fresh(), 4).files_after == 1
    assert landed(events) == [0, 1, 2, 3]


def test_where_others_never_leave_a_gap_the_files_stay_and_no_row_is_lost(events, monkeypatch):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    refused = CommitFailedError("Failed to commit transaction: 0")

    class Busy(DeltaTable):
        def create_write_transaction(self, *_, **__):
            raise refused

    monkeypatch.setattr("data_platform.lake.tables.DeltaTable", Busy)
    assert compact_small(events.fresh(), 4) == compaction.Compacted(4, 4)
    monkeypatch.undo()
    assert landed(events) == [0, 1, 2, 3]
    assert len(list(Path(events.uri).rglob("*.parquet"))) == 4


def test_a_reader_that_has_the_table_open_goes_on_reading_what_was_replaced(events):
    appender = Appender(events)
    for number in range(4):
        land(appender, number)
    opened = events.fresh()
    assert opened.rows == 4
    for number in range(4, 8):
        land(appender, number)
        compact_small(appender.table, 4)
    assert opened.query("select id from held").num_rows == 4


def test_the_log_is_kept_short_and_the_position_is_found_in_what_is_left(events):
    appender = Appender(events)
    log = Path(events.uri, "_delta_log")
    for number in range(1, 101):
        land(appender, number)
        compact_small(appender.table, 8)
        if number == 90:
            an_hour_ago = time.time() - 3_600
            for file in log.iterdir():
                os.utime(file, (an_hour_ago, an_hour_ago))
    # What is older than the table keeps its log for went with the next checkpoint; one in 20 commits is one.
    assert len(list(log.glob("*.json"))) < 60
    held = events.fresh()
    assert (held.batch, held.position, held.rows) == (100, {"reached": 100}, 100)
    assert landed(events) == list(range(1, 101))


def test_a_stream_that_was_quiet_for_long_keeps_its_position_through_the_nights(events):
    appender = Appender(events)
    for number in range(1, 30):
        land(appender, number)
    log = Path(events.uri, "_delta_log")
    for _ in range(2):
        a_day_ago = time.time() - 86_400
        for file in log.iterdir():
            os.utime(file, (a_day_ago, a_day_ago))
        tend(events.fresh(), ("id",))
        held = events.fresh()
        assert (held.batch, held.position, held.rows) == (29, {"reached": 29}, 29)
    assert len(list(log.glob("*.json"))) <= 3
    land(Appender(events.fresh()), 30)
    assert events.fresh().position == {"reached": 30}
