"""Days are read again on request: ninety of them in one run, through Dagster's own partitions."""

from datetime import date, timedelta

import dagster as dg
import pytest

from data_platform.bronze.days import days_asset
from data_platform.bronze.load import load
from data_platform.connectors.base import SourceError
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.sources.facebook import FACEBOOK_ADS
from sandbox.facebook.server import FacebookServer
from sandbox.world.ads import ACCOUNTS, AdWorld

LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=89)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr("data_platform.connectors.patience.FIRST_LOOK", 0.01)
    with FacebookServer(AdWorld(ads=5)) as server:
        given = {name.lower(): value for name, value in server.settings().items()}
        yield Settings(_env_file=None, data_platform_home=tmp_path, **given)


def run(settings, first: date, last: date) -> dg.ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    return dg.materialize([days_asset(FACEBOOK_ADS, settings)], tags=tags)


def test_a_backfill_of_ninety_days_is_one_run_that_lands_them_all(settings):
    ended = run(settings, FIRST, LAST)
    held = lake_of(settings).bronze(FACEBOOK_ADS)
    days = held.query("select distinct date_start from held").column("date_start").to_pylist()
    assert sorted(days) == [FIRST + timedelta(days=number) for number in range(90)]
    assert held.rows == 90 * 5 * len(ACCOUNTS["facebook"])
    partitions = [
        event.partition
        for event in ended.asset_materializations_for_node("bronze__facebook__facebook_ads__days")
    ]
    assert len(set(partitions)) == 90


def test_days_that_hold_nothing_new_leave_no_commit(settings):
    run(settings, FIRST, LAST)
    held = lake_of(settings).bronze(FACEBOOK_ADS)
    run(settings, FIRST + timedelta(days=30), FIRST + timedelta(days=40))
    assert held.fresh().version == held.version


def test_a_source_that_is_not_read_by_days_says_so(settings):
    class ByCursor:
        def offer(self, table, landed): ...

    with pytest.raises(
        SourceError, match=r"its connector does not read by days\. Run it without a partition"
    ):
        load(FACEBOOK_ADS, ByCursor(), lake_of(settings), 1_000, (FIRST, LAST))
