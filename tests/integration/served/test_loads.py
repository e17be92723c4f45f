"""Served tables against silver: what users of a target see is what silver holds alive, whatever happened to it."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier

import pytest
from deltalake import DeltaTable

from data_platform.gold import served
from data_platform.gold.served import FACEBOOK_ADS, GOOGLE_ADS, serve, target_for
from data_platform.gold.serving.changes import reached, rows, still_stands
from data_platform.gold.serving.target import PositionMoved, Work
from data_platform.lake.maintenance import tend
from tests.integration.served.conftest import Ads, ad

FIRST = date(2026, 6, 1)


@pytest.fixture
def loaded(loading, ads):
    """Both tables, loaded once."""
    ads.change(
        *(ad("facebook", number) for number in range(30)), *(ad("google", number) for number in range(20))
    )
    loading.load(FACEBOOK_ADS)
    loading.load(GOOGLE_ADS)
    return loading


def change_all_ways(ads):
    """Rows that are new, changed, emptied, deleted and back again, in several batches."""
    ads.change(
        ad("facebook", 1, clicks=99, spend=Decimal("0.01")), ad("facebook", 100), ad("google", 1, clicks=7)
    )
    ads.delete(("facebook", "ad-2", FIRST), ("facebook", "ad-3", FIRST), ("google", "ad-4", FIRST))
    ads.change(ad("facebook", 3, ad_name="back"), ad("facebook", 5, ad_name=None, clicks=None, spend=None))


def test_a_first_load_is_all_that_is_alive(loading, ads):
    ads.change(
        *(ad("facebook", number) for number in range(30)), *(ad("google", number) for number in range(20))
    )
    ads.delete(("facebook", "ad-3", FIRST))

    loaded = loading.load(FACEBOOK_ADS)
    loading.load(GOOGLE_ADS)

    loading.agrees(FACEBOOK_ADS, ads)
    loading.agrees(GOOGLE_ADS, ads)
    assert (loaded.counts.rows, loaded.counts.added, loaded.took_all) == (29, 29, True)


def test_a_later_load_takes_what_changed_and_no_more(loaded, ads):
    change_all_ways(ads)

    facebook, google = loaded.load(FACEBOOK_ADS), loaded.load(GOOGLE_ADS)

    loaded.agrees(FACEBOOK_ADS, ads)
    loaded.agrees(GOOGLE_ADS, ads)
    counts = facebook.counts
    assert (counts.added, counts.changed, counts.deleted, counts.rows) == (1, 3, 1, 30)
    assert (google.counts.changed, google.counts.deleted, google.took_all) == (1, 1, False)


def test_the_same_ad_on_both_platforms_is_deleted_on_its_own_alone(loaded, ads):
    ads.delete(("google", "ad-7", FIRST))

    loaded.load(FACEBOOK_ADS)
    loaded.load(GOOGLE_ADS)

    loaded.agrees(FACEBOOK_ADS, ads)
    loaded.agrees(GOOGLE_ADS, ads)
    assert "ad-7" in {row[0] for row in loaded.rows(FACEBOOK_ADS)}


def test_rows_that_were_new_and_deleted_between_loads_never_show(loaded, ads):
    ads.change(ad("facebook", 500))
    ads.delete(("facebook", "ad-500", FIRST))

    assert loaded.load(FACEBOOK_ADS).counts.deleted == 0
    loaded.agrees(FACEBOOK_ADS, ads)


def transactions_begun(loading):
    """How many transactions the database has given a number to, which it does when one first writes."""
    return loading.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")[0][0]


def test_a_quiet_load_writes_nothing(loaded, ads):
    before = transactions_begun(loaded)

    quiet = loaded.load(FACEBOOK_ADS)

    assert transactions_begun(loaded) == before
    assert (quiet.counts.rows, quiet.counts.added, quiet.counts.changed, quiet.batch) == (30, 0, 0, 1)
    change_all_ways(ads)
    loaded.load(FACEBOOK_ADS)
    assert transactions_begun(loaded) > before


def test_a_change_of_other_rows_moves_the_position_alone(loaded, ads):
    ads.change(ad("google", 3, clicks=1))

    moved = loaded.load(FACEBOOK_ADS)

    assert (moved.batch, moved.counts.rows, moved.counts.changed, moved.took_all) == (2, 30, 0, False)
    before = transactions_begun(loaded)
    loaded.load(FACEBOOK_ADS)
    assert transactions_begun(loaded) == before


def test_a_lost_position_is_answered_by_all_rows_and_doubles_none(loaded, ads):
    loaded.execute("delete from facebook_ads where ad_id = 'ad-1'")
    loaded.execute("insert into facebook_ads (ad_id, date) values ('of nobody', '2026-01-01')")
    loaded.execute("delete from served_positions where table_name = 'facebook_ads'")

    again = loaded.load(FACEBOOK_ADS)

    loaded.agrees(FACEBOOK_ADS, ads)
    assert (again.took_all, again.counts.added, again.counts.deleted, again.counts.changed) == (
        True,
        1,
        1,
        29,
    )


def test_a_restored_silver_is_loaded_whole_and_what_is_gone_goes(loaded, ads):
    change_all_ways(ads)
    loaded.load(FACEBOOK_ADS)
    ads.restore(0)

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)
    assert not loaded.load(FACEBOOK_ADS).took_all


def test_a_restored_silver_is_noticed_when_its_batches_have_passed_the_position(loaded, ads):
    change_all_ways(ads)
    loaded.load(FACEBOOK_ADS)
    ads.restore(0)
    for clicks in (1, 2, 3):
        ads.change(ad("facebook", 9, clicks=clicks))

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_silver_restored_to_what_was_loaded_is_followed_as_before(loaded, ads):
    change_all_ways(ads)
    ads.restore(2)
    ads.change(ad("facebook", 9, clicks=1))

    assert not loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_silver_made_anew_is_loaded_whole(loaded, ads, lake, tmp_path):
    (tmp_path / "lake" / "silver" / "ad_performance").rename(tmp_path / "away")
    anew = Ads(lake)
    anew.change(ad("facebook", 1), ad("facebook", 77))
    anew.change(ad("facebook", 78))

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, anew)


def test_a_lost_commit_of_silver_is_noticed_behind_another_of_its_number(loaded, ads, tmp_path):
    """As after mending a damaged log: its last file was moved out, and the next load writes another of that number."""
    ads.change(ad("facebook", 1, clicks=99))
    loaded.load(FACEBOOK_ADS)
    log = tmp_path / "lake" / "silver" / "ad_performance" / "_delta_log"
    (log / "00000000000000000001.json").unlink()
    ads.batch, ads.rows = 1, {key: row for key, row in ads.rows.items() if row["_batch"] == 1}
    ads.change(ad("facebook", 2, clicks=98))
    ads.rows[("facebook", "ad-1", FIRST)] = {**ad("facebook", 1), "is_deleted": False, "_batch": 1}
    ads.change()

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_what_was_reached_is_known_by_its_own_commit_while_others_land(ads, lake):
    """delta-rs gives a table that was opened before other commits the newest of these under the number of its own."""
    ads.change(ad("facebook", 1))
    opened = lake.silver("ad_performance")
    assert opened.version == 0
    for clicks in (1, 2):
        ads.change(ad("facebook", 1, clicks=clicks))
    log = Path(ads.table.uri, "_delta_log", f"{0:020d}.json").read_text().splitlines()
    [committed] = [said["commitInfo"]["timestamp"] for said in map(json.loads, log) if "commitInfo" in said]

    before = reached(opened)

    assert (before.batch, before.version, before.committed) == (1, 0, committed)
    assert still_stands(opened, before)
    assert still_stands(lake.silver("ad_performance"), before)


def test_maintenance_of_silver_between_loads_disturbs_nothing(loaded, ads):
    ads.change(ad("facebook", 1, clicks=99))
    tend(ads.table.fresh(), keep_replaced=timedelta(0))
    moved = loaded.load(FACEBOOK_ADS)
    assert (moved.took_all, moved.counts.changed) == (False, 1)
    loaded.agrees(FACEBOOK_ADS, ads)

    tend(ads.table.fresh(), keep_replaced=timedelta(0))
    before = transactions_begun(loaded)
    loaded.load(FACEBOOK_ADS)
    assert transactions_begun(loaded) == before


def test_a_log_that_no_longer_reaches_back_is_answered_by_all_rows(loaded, ads, tmp_path):
    change_all_ways(ads)
    DeltaTable(ads.table.uri).create_checkpoint()
    for version in range(2):
        (tmp_path / "lake" / "silver" / "ad_performance" / "_delta_log" / f"{version:020d}.json").unlink()

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_first_loads_at_once_are_each_right(loading, ads):
    ads.change(*(ad(platform, number) for platform in ("facebook", "google") for number in range(50)))
    together = Barrier(4)

    def load(table):
        together.wait(60)
        return loading.load(table)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(load, [FACEBOOK_ADS, GOOGLE_ADS] * 2))

    loading.agrees(FACEBOOK_ADS, ads)
    loading.agrees(GOOGLE_ADS, ads)
    assert [each.counts.rows for each in done] == [50] * 4
    assert sum(each.counts.added for each in done) == 100


def test_many_batches_and_files_are_one_load(loading, ads, monkeypatch):
    monkeypatch.setattr("data_platform.gold.serving.changes.BATCH_ROWS", 7)
    monkeypatch.setattr("data_platform.gold.serving.files.FILE_ROWS", 15)
    ads.change(*(ad("facebook", number, day=1 + number % 28) for number in range(100)))

    assert loading.load(FACEBOOK_ADS).counts.added == 100
    loading.agrees(FACEBOOK_ADS, ads)


KILLS = {
    "in the transaction, rows staged": ("_copy", "", True),
    "rows put into the table": ("execute", 'delete from "served_positions"', False),
    "position noted": ("execute", 'insert into "served_positions"', True),
    "before the commit": ("execute", "commit", False),
    "after the commit": ("execute", "commit", True),
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_load_loses_and_doubles_no_row(loading, ads, killed_load, kill):
    ads.change(*(ad(platform, number) for platform in ("facebook", "google") for number in range(50)))
    for _ in range(2):
        before = loading.rows(FACEBOOK_ADS) if loading.has("facebook_ads") else []
        method, statement, after = KILLS[kill]
        order = loading.order("facebook_ads", method=method, statement=statement, after=after)

        assert killed_load(order) == -signal.SIGKILL

        if kill == "after the commit":
            loading.agrees(FACEBOOK_ADS, ads)
        else:
            assert (loading.rows(FACEBOOK_ADS) if loading.has("facebook_ads") else []) == before
        again = loading.load(FACEBOOK_ADS)
        loading.agrees(FACEBOOK_ADS, ads)
        assert (again.counts.added > 0) == (kill != "after the commit")
        change_all_ways(ads)


def test_a_load_that_another_overtook_puts_nothing_in(loaded, ads):
    ads.change(ad("facebook", 1, clicks=99))
    silver = loaded.lake.silver("ad_performance")
    with target_for(loaded.name, loaded.settings()).session() as session:
        held = session.held(FACEBOOK_ADS)
        late = Work(
            FACEBOOK_ADS, held, reached(silver), False, rows(silver, FACEBOOK_ADS, held.reached.batch)
        )
        ads.change(ad("facebook", 1, clicks=100))
        loaded.load(FACEBOOK_ADS)

        with pytest.raises(PositionMoved):
            session.load(late)

    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_load_that_another_overtook_looks_again(loaded, ads, monkeypatch):
    ads.change(ad("facebook", 1, clicks=99))
    read, overtaken = served.rows, []

    def overtaking(*given):
        if not overtaken:
            overtaken.append(True)
            ads.change(ad("facebook", 2, clicks=98))
            serve(FACEBOOK_ADS, target_for(loaded.name, loaded.settings()), loaded.lake)
        return read(*given)

    monkeypatch.setattr(served, "rows", overtaking)

    assert loaded.load(FACEBOOK_ADS).batch == 3
    loaded.agrees(FACEBOOK_ADS, ads)
