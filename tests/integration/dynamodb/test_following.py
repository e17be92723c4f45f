"""Bronze holds what the tables do, and every version that the stream tells of, through kills, splits and gaps."""

from dataclasses import replace
from decimal import Decimal
from threading import Event, Thread
from time import monotonic, sleep, time

import pytest

from data_platform.connectors.base import SourceError
from data_platform.connectors.dynamodb import connector
from data_platform.declarations import Snapshot
from data_platform.sources.dynamodb import CAMPAIGN_INFO, TABLES, USER_CAMPAIGN
from sandbox.dynamodb.tables import attributes
from sandbox.world.campaigns import KEYS

MANY = "user_Campaign"


def some_key(loading, place: int = 0) -> tuple[str, str]:
    return sorted(loading.tables.campaigns.rows[MANY])[place]


def test_two_days_of_both_tables_land_as_they_are(loading):
    for _ in range(3):
        for table in TABLES:
            loading.load(table)
            loading.agrees(table)
            again = loading.load(table)
            assert (again.receipt.landed, again.receipt.says) == (
                0, "0 offered = 0 landed + 0 overlap + 0 quarantined",
            )  # fmt: skip
            assert again.batch == loading.lake.bronze(table).batch
        loading.tables.live_a_day()


def test_every_version_between_two_loads_lands_and_a_removal_with_what_it_was(loading):
    loading.load(USER_CAMPAIGN)
    key = some_key(loading)
    first = loading.tables.campaigns.rows[MANY][key]
    for points in (7, 8):
        loading.tables.put(MANY, first | {"points": Decimal(points), "status": "completed"})
    loading.tables.take_away(MANY, key)
    loading.tables.put(MANY, first)
    loading.load(USER_CAMPAIGN)
    told = [(row["_op"], row["points"], row["status"]) for row in loading.versions(USER_CAMPAIGN, key)]
    points = first["points"]
    assert told == [
        ("upsert", points, "active"),
        ("upsert", Decimal(7), "completed"),
        ("upsert", Decimal(8), "completed"),
        ("delete", Decimal(8), "completed"),
        ("upsert", points, "active"),
    ]


def test_what_its_time_to_live_removes_is_told_from_what_the_app_does(loading):
    loading.load(USER_CAMPAIGN)
    client, removed, expires = loading.tables.client, some_key(loading), some_key(loading, 1)
    wanted = {"Enabled": True, "AttributeName": "gone_by"}
    client.update_time_to_live(TableName=MANY, TimeToLiveSpecification=wanted)
    loading.tables.take_away(MANY, removed)
    loading.tables.put(MANY, loading.tables.campaigns.rows[MANY][expires] | {"gone_by": int(time()) - 60})
    names = dict(zip(KEYS[MANY], expires, strict=True))
    gives_up = monotonic() + 60
    while "Item" in client.get_item(TableName=MANY, Key=attributes(names)):
        assert monotonic() < gives_up, "the item never expired"
        sleep(0.1)
    del loading.tables.campaigns.rows[MANY][expires]
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)
    gone = {key: loading.versions(USER_CAMPAIGN, key)[-1] for key in (removed, expires)}
    assert {key: row["_op"] for key, row in gone.items()} == {removed: "delete", expires: "delete"}
    assert [key for key, row in gone.items() if row["_origin"].endswith(", by its time to live")] == [expires]


def test_what_is_written_while_the_table_is_scanned_is_neither_lost_nor_older(loading, small_pages):
    stop = Event()

    def write() -> None:
        while not stop.is_set():
            loading.tables.live_a_day()

    writer = Thread(target=write)
    writer.start()
    try:
        loading.load(USER_CAMPAIGN, commit_rows=50)
    finally:
        stop.set()
        writer.join()
    assert loading.tables.campaigns.day > 3
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_scan_goes_on_where_it_stood(loading, small_pages, after):
    loading.load_killed(USER_CAMPAIGN, after)
    held = loading.lake.bronze(USER_CAMPAIGN).rows
    assert 0 <= held < len(loading.tables.campaigns.rows[MANY])
    loading.tables.live_a_day()
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)
    scanned = [row for row in loading.rows(USER_CAMPAIGN) if "scanned" in row["_origin"]]
    assert len(scanned) == len({(row["userID"], row["campaignID"]) for row in scanned})


def test_a_kill_between_commits_of_changes_doubles_none(loading, streams, small_pages):
    loading.load(USER_CAMPAIGN)
    before = len(loading.rows(USER_CAMPAIGN))
    for _ in range(8):
        loading.tables.live_a_day()
    loading.load_killed(USER_CAMPAIGN, 3)
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)
    origins = [row["_origin"] for row in loading.rows(USER_CAMPAIGN)[before:]]
    assert len(origins) == len(set(origins)) > 30


def test_shards_that_split_and_close_are_followed_parent_before_child(loading, streams, small_pages):
    streams.listed = 2
    loading.load(USER_CAMPAIGN)
    for _ in range(2):
        for _ in range(2):
            loading.tables.live_a_day()
            streams.split(MANY)
        loading.tables.live_a_day()
        loaded = loading.load(USER_CAMPAIGN)
        loading.agrees(USER_CAMPAIGN)
        assert loaded.notes == []
    assert len(loaded.position["shards"]) == 16


def test_shards_that_close_while_they_are_read_go_on_in_their_children(loading, streams, small_pages):
    loading.load(USER_CAMPAIGN)
    for _ in range(3):
        loading.tables.live_a_day()
    loading.load(USER_CAMPAIGN, lambda: (streams.split(MANY), loading.tables.live_a_day()))
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_a_shard_that_ended_waits_for_children_that_are_told_of_late(loading, streams):
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    streams.close(MANY)
    ended = loading.load(USER_CAMPAIGN)
    assert list(ended.position["shards"].values()) == ["ended"]
    streams.go_on(MANY)
    loading.tables.live_a_day()
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_a_quiet_table_leaves_its_closed_shards_behind(loading, streams):
    first = loading.load(USER_CAMPAIGN)
    streams.split(MANY, into=1)
    quiet = loading.load(USER_CAMPAIGN)
    assert (quiet.receipt.landed, quiet.batch) == (0, first.batch + 1)
    assert quiet.position["shards"].keys().isdisjoint(first.position["shards"])
    assert loading.load(USER_CAMPAIGN).batch == quiet.batch


@pytest.mark.parametrize("killed_after", [None, 1, 3])
def test_a_trimmed_stream_is_said_and_scanned_anew_with_what_was_deleted_unseen(
    loading, streams, small_pages, killed_after
):
    loading.load(USER_CAMPAIGN)
    gone, back = some_key(loading, 3), some_key(loading, 4)
    returning = loading.tables.campaigns.rows[MANY][back]
    for _ in range(2):
        loading.tables.live_a_day()
    loading.tables.take_away(MANY, gone)
    loading.tables.take_away(MANY, back)
    streams.trim(MANY)
    if killed_after:
        loading.load_killed(USER_CAMPAIGN, killed_after)
    loaded = loading.load(USER_CAMPAIGN)
    said = "the stream was trimmed beyond the table's position, so changes may be missing"
    assert bool(killed_after) or any(said in note for note in loaded.notes)
    loading.agrees(USER_CAMPAIGN)
    assert [row["_op"] for row in loading.versions(USER_CAMPAIGN, gone)] == ["upsert", "delete"]
    loading.tables.put(MANY, returning)
    assert loading.load(USER_CAMPAIGN).notes == []
    loading.agrees(USER_CAMPAIGN)


@pytest.mark.parametrize("splits", [0, 1])
def test_a_stream_that_is_trimmed_while_it_is_read_is_scanned_anew(loading, streams, small_pages, splits):
    """Of a shard that has closed, trimming leaves nothing at all."""
    loading.load(USER_CAMPAIGN)
    for _ in range(4):
        loading.tables.live_a_day()
    for _ in range(splits):
        streams.split(MANY)
    notes = loading.load(USER_CAMPAIGN, lambda: streams.trim(MANY), after=2).notes
    assert "changes may be missing; the whole table is read again" in notes[0]
    loading.agrees(USER_CAMPAIGN)


def test_a_shard_that_nothing_was_read_of_for_a_day_is_not_trusted(loading, streams, monkeypatch):
    loading.load(USER_CAMPAIGN)
    streams.split(MANY)
    loading.load(USER_CAMPAIGN)
    monkeypatch.setattr(connector, "KEPT_FOR", connector.KEPT_FOR * 0)
    assert "was read more than" in loading.load(USER_CAMPAIGN).notes[0]
    loading.agrees(USER_CAMPAIGN)


def test_a_table_that_was_made_anew_is_scanned_anew(loading):
    loading.load(CAMPAIGN_INFO)
    held = loading.tables.campaigns.rows["campaignInfo"]
    for key in sorted(held)[:5]:
        del held[key]
    loading.tables.drop("campaignInfo")
    loading.tables.create("campaignInfo")
    loading.tables.put_all("campaignInfo", held.values())
    assert "has another stream than it had" in loading.load(CAMPAIGN_INFO).notes[0]
    loading.agrees(CAMPAIGN_INFO)
    assert sum(row["_op"] == "delete" for row in loading.rows(CAMPAIGN_INFO)) == 5


def test_a_position_that_was_taken_back_reads_all_again_above_all_that_landed(loading):
    loading.load(CAMPAIGN_INFO)
    loading.tables.live_a_day()
    loading.load(CAMPAIGN_INFO)
    loading.lake.bronze(CAMPAIGN_INFO).set_position({})
    again = loading.load(CAMPAIGN_INFO)
    assert again.position["era"] == 2
    loading.agrees(CAMPAIGN_INFO)


def test_iterators_that_expire_are_renewed(loading, streams, small_pages):
    loading.load(USER_CAMPAIGN)
    for _ in range(3):
        loading.tables.live_a_day()
    before = len(loading.rows(USER_CAMPAIGN))
    loading.load(USER_CAMPAIGN, streams.expire_iterators)
    loading.agrees(USER_CAMPAIGN)
    origins = [row["_origin"] for row in loading.rows(USER_CAMPAIGN)[before:]]
    assert len(origins) == len(set(origins))


def test_empty_answers_before_a_stretch_with_records_end_no_read(loading, streams):
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    streams.empty = 2
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_two_loads_at_once_land_each_change_once(loading, streams):
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    loading.load(USER_CAMPAIGN, lambda: loading.load(USER_CAMPAIGN), after=0)
    origins = [row["_origin"] for row in loading.rows(USER_CAMPAIGN) if "shardId" in row["_origin"]]
    assert len(origins) == len(set(origins)) > 0
    loading.agrees(USER_CAMPAIGN)


def test_another_kind_of_load_is_refused(loading):
    with pytest.raises(SourceError, match=r"declared as Snapshot, and DynamoDB is followed by"):
        loading.load(replace(USER_CAMPAIGN, load=Snapshot(prefix="x/")))
