"""From Google's ads to what analysts query: landed, refined by Spark, joined, and served in both targets."""

from datetime import date, timedelta

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.google_ads.connector import GoogleAds
from data_platform.gold.served import FACEBOOK_ADS, GOOGLE_ADS
from data_platform.settings import Settings
from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.joined_step import join
from data_platform.silver.step import refine
from data_platform.sources import google
from sandbox.google_ads.server import GoogleAdsServer
from sandbox.world.ads import ACCOUNTS, AdWorld, fault_of

LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=29)
(CUSTOMER,) = ACCOUNTS["google"]


@pytest.fixture
def world(lake, spark):
    """The ads of an account, and how what it says comes to silver."""
    with GoogleAdsServer(AdWorld(ads=10)) as server:
        given = {name.lower(): value for name, value in server.settings().items()}
        settings = Settings(_env_file=None, window_history=timedelta(days=30), **given)

        def refined():
            load(google.GOOGLE_ADS, GoogleAds(settings), lake, 50_000)
            refine(lambda: spark, google.GOOGLE_ADS, lake)
            join(lambda: spark, AD_PERFORMANCE, lake)

        yield server.world, refined


def truth(world):
    """Without the faults that break an error rule."""
    return {
        (row.ad_id, row.day): (row.clicks, row.impressions, row.spend)
        for row in world.rows("google", CUSTOMER, FIRST, LAST)
        if fault_of(int(row.ad_id[-6:]), row.day) != "negative spend"
    }


def served(loading):
    rows = loading.execute("select ad_id, date, clicks, impressions, spend from google_ads")
    assert len(rows) == len({row[:2] for row in rows})
    return {row[:2]: row[2:] for row in rows}


def test_ads_are_served_as_google_says_them(world, lake, spark, to_postgres, to_redshift):
    ads, refined = world
    refined()
    to_postgres.load(GOOGLE_ADS)
    assert served(to_postgres) == truth(ads)
    assert to_postgres.load(FACEBOOK_ADS).counts.rows == 0
    to_postgres.execute("drop table google_ads; delete from served_positions")

    assert to_redshift.load(GOOGLE_ADS).took_all
    assert served(to_redshift) == truth(ads)

    gone, changed = (f"{CUSTOMER.id}000005", LAST), (f"{CUSTOMER.id}000006", LAST)
    ads.vanished.add(("google", *gone))
    ads.restated["google", *changed] = {"clicks": 7}
    refined()
    counts = to_redshift.load(GOOGLE_ADS).counts
    assert (counts.changed, counts.deleted) == (1, 1)
    assert served(to_redshift) == truth(ads)
    assert served(to_redshift)[changed][0] == 7

    before = lake.silver("ad_performance")
    spark.sql(f"restore table delta.`{before.uri}` to version as of 0").collect()
    assert to_redshift.load(GOOGLE_ADS).took_all
    assert gone in served(to_redshift)
