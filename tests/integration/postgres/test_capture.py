"""Every kind of change reaches bronze, in the order of the commits, however loads and changes fall together."""

from threading import Event, Thread, Timer

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from data_platform.connectors.base import SourceError
from data_platform.connectors.postgres import slots
from data_platform.declarations import HOURLY, INTEGER, STRING, Column, SourceTable, Stream, years
from data_platform.lake.landed import LandedTable

NOTES = SourceTable(
    system="postgres",
    name="notes",
    reads="public.notes",
    description="Notes.",
    key=("id",),
    load=Stream(order="lsn"),
    every=HOURLY,
    owner="team:shop",
    keep_for=years(1),
    columns=(Column("id", INTEGER, required=True), Column("title", STRING), Column("body", STRING)),
)
# Stored outside of the row: changing letters don't compress.
LONG = "select string_agg(md5(i::text || '{}'), '') from generate_series(1, 200) i"


@pytest.fixture
def notes(loading):
    loading.execute("create table notes (id bigint primary key, title text, body text)")
    loading.execute(
        f"insert into notes select i, 'title ' || i, ({LONG.format('first')}) from generate_series(1, 100) i"
    )
    return loading


def history(loading, key):
    return [(row["_op"], row["title"], row["body"]) for row in loading.rows(NOTES) if row["id"] == key]


def test_every_version_between_two_loads_lands(notes):
    notes.load(NOTES)
    notes.execute("update notes set title = 'a', body = 'x' where id = 1")
    notes.execute("update notes set title = 'b' where id = 1")
    notes.execute("delete from notes where id = 1")
    notes.execute("insert into notes values (1, 'c', 'y')")
    notes.load(NOTES)
    assert history(notes, 1)[1:] == [
        ("upsert", "a", "x"),
        ("upsert", "b", "x"),
        ("delete", None, None),
        ("upsert", "c", "y"),
    ]


def test_a_large_value_that_was_left_as_it_was_is_not_lost(notes):
    notes.load(NOTES)
    ((long,),) = notes.execute("select body from notes where id = 7")
    notes.execute("update notes set title = 'new' where id = 7")
    notes.load(NOTES)
    assert history(notes, 7)[-1] == ("upsert", "new", long)
    notes.agrees_with_database(NOTES)


def test_a_large_value_follows_its_row_to_a_new_key(notes):
    notes.load(NOTES)
    notes.execute("update notes set id = 1001, title = 'moved' where id = 7")
    notes.execute("update notes set id = 1002 where id = 1001")
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)
    assert [op for op, *_ in history(notes, 7)] == ["upsert", "delete"]
    assert [op for op, *_ in history(notes, 1001)] == ["upsert", "delete"]


def test_with_full_replica_identity_changes_are_the_same(notes):
    notes.execute("alter table notes replica identity full")
    notes.load(NOTES)
    notes.execute("update notes set title = 'new' where id = 7")
    notes.execute("update notes set id = 1001 where id = 8")
    notes.execute("delete from notes where id = 9")
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)
    assert [row["_op"] for row in notes.rows(NOTES) if row["id"] in (7, 8, 9, 1001)].count("delete") == 2


def test_keys_that_change_places_end_up_right(notes):
    notes.load(NOTES)
    notes.execute(
        "update notes set id = -1 where id = 1; update notes set id = 1 where id = 2;"
        "update notes set id = 2 where id = -1"
    )
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)


def test_a_truncate_deletes_every_row_and_none_that_came_after(notes):
    notes.load(NOTES)
    notes.execute("insert into notes values (500, 'short-lived', '')")
    notes.execute("truncate notes")
    notes.execute("insert into notes values (3, 'after', 'all')")
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)
    assert history(notes, 500)[-1][0] == "delete"
    assert len(notes.newest(NOTES)) == 1


def test_what_is_rolled_back_does_not_land(notes):
    notes.load(NOTES)
    connection = notes.server.connect()
    connection.cursor().execute("update notes set title = 'never'")
    connection.rollback()
    connection.close()
    assert notes.load(NOTES).receipt.landed == 0


def test_a_transaction_lands_when_it_is_committed_even_if_it_began_before_the_last_load(notes):
    notes.load(NOTES)
    connection = notes.server.connect()
    connection.cursor().execute("update notes set title = 'slow' where id = 5")
    notes.execute("update notes set title = 'quick' where id = 6")
    assert notes.load(NOTES).receipt.landed == 1
    connection.commit()
    connection.close()
    assert notes.load(NOTES).receipt.landed == 1
    notes.agrees_with_database(NOTES)


def test_the_hand_over_from_the_whole_read_to_the_stream_misses_nothing(notes):
    ended = Event()

    def write() -> None:
        connection = notes.server.connect()
        number = 1000
        while not ended.is_set():
            number += 1
            with connection, connection.cursor() as cursor:
                cursor.execute("insert into notes values (%s, 'new', '')", [number])
                cursor.execute("update notes set title = %s where id = %s", [str(number), number % 100])
                cursor.execute("delete from notes where id = %s", [number - 7])
        connection.close()

    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(6):
            notes.load(NOTES)
    finally:
        ended.set()
        writer.join()
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)
    orders = [(row["id"], row["_order"]) for row in notes.rows(NOTES)]
    assert len(orders) == len(set(orders))


def test_the_slot_never_passes_the_position_and_follows_it(notes):
    def confirmed() -> str:
        ((lsn,),) = notes.execute("select confirmed_flush_lsn::text from pg_replication_slots")
        return lsn

    first = notes.load(NOTES).position["lsn"]
    assert confirmed() == first
    notes.execute("update notes set title = 'x'")
    second = notes.load(NOTES).position["lsn"]
    assert confirmed() == first
    notes.execute("update notes set title = 'y'")
    notes.load(NOTES)
    assert confirmed() == second


def test_a_dropped_slot_is_said_and_everything_is_read_again_with_what_is_gone(notes):
    notes.load(NOTES)
    notes.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    notes.execute("delete from notes where id <= 10; update notes set title = 'unseen' where id = 50")
    loaded = notes.load(NOTES)
    assert any("slot" in note and "read again" in note for note in loaded.notes)
    notes.agrees_with_database(NOTES)
    assert [op for op, *_ in history(notes, 5)] == ["upsert", "delete"]
    notes.execute("update notes set title = 'seen' where id = 51")
    assert notes.load(NOTES).receipt.landed == 1
    notes.agrees_with_database(NOTES)


def test_a_read_again_that_is_killed_goes_on_and_still_finds_what_is_gone(notes, small_batches):
    notes.load(NOTES)
    notes.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    notes.execute("delete from notes where id in (5, 95)")
    notes.load_killed(NOTES, after=3)
    notes.execute("delete from notes where id in (6, 96); insert into notes values (5, 'back', '')")
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)


def test_a_slot_that_was_moved_on_by_another_is_noticed(notes):
    notes.load(NOTES)
    notes.execute("delete from notes where id = 5")
    notes.execute(
        "select pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn()) from pg_replication_slots"
    )
    loaded = notes.load(NOTES)
    assert any("beyond the table's position" in note for note in loaded.notes)
    notes.agrees_with_database(NOTES)


def test_a_server_that_was_put_back_to_an_older_state_is_noticed(notes):
    position = notes.load(NOTES).position
    notes.lake.bronze(NOTES).set_position({**position, "lsn": "FFFF/0"})
    notes.execute("update notes set title = 'older' where id = 1; delete from notes where id = 2")
    loaded = notes.load(NOTES)
    assert any("an older state" in note for note in loaded.notes)
    notes.agrees_with_database(NOTES)


def test_a_load_waits_for_the_session_of_one_that_has_just_ended(notes):
    """The server gives up what a session held some time after its client has gone."""
    ended = psycopg2.connect(notes.server.dsn)
    with ended.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtextextended('data_platform_shop_public_notes', 0))")
    Timer(0.3, ended.close).start()
    assert notes.load(NOTES).receipt.landed == 100


def test_a_second_load_at_once_is_refused_and_the_first_goes_on(notes, monkeypatch):
    monkeypatch.setattr(slots, "LET_GO_WITHIN", 0.2)
    held = LandedTable(NOTES, notes.lake.bronze(NOTES))
    reading = notes.connector().offer(NOTES, held).parts
    next(reading)
    try:
        with pytest.raises(SourceError, match="loaded by another run"):
            notes.load(NOTES)
    finally:
        reading.close()
    notes.load(NOTES)
    notes.agrees_with_database(NOTES)


def test_what_a_killed_load_left_at_work_on_the_slot_does_not_stop_the_next(notes):
    notes.load(NOTES)
    notes.execute("update notes set title = 'x' where id = 1")
    dsn = notes.server.dsn
    left = psycopg2.connect(dsn, connection_factory=LogicalReplicationConnection)
    cursor = left.cursor()
    name = "data_platform_shop_public_notes"
    cursor.start_replication(name, options={"proto_version": "1", "publication_names": name})
    assert notes.execute("select active from pg_replication_slots") == [(True,)]
    assert notes.load(NOTES).receipt.landed == 1
    left.close()
    notes.agrees_with_database(NOTES)


def test_a_table_without_a_key_in_the_wal_is_refused_with_what_to_do(loading):
    loading.execute("create table notes (id bigint, title text, body text)")
    with pytest.raises(SourceError, match="replica identity full"):
        loading.load(NOTES)
