"""Ads in silver: what was restated replaces, what vanished is marked and keeps its numbers, faults are kept out."""

from datetime import date, timedelta

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.google_ads.connector import GoogleAds
from data_platform.settings import Settings
from data_platform.silver.step import refine
from data_platform.sources.google import GOOGLE_ADS
from sandbox.google_ads.server import GoogleAdsServer
from sandbox.world.ads import ACCOUNTS, AdWorld, fault_of

LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=29)
(CUSTOMER,) = ACCOUNTS["google"]


@pytest.fixture
def google(lake):
    with GoogleAdsServer(AdWorld(ads=10)) as server:
        given = {name.lower(): value for name, value in server.settings().items()}
        settings = Settings(_env_file=None, window_history=timedelta(days=30), **given)
        yield server.world, lambda: load(GOOGLE_ADS, GoogleAds(settings), lake, 50_000)


def held(lake) -> dict:
    rows = lake.silver(GOOGLE_ADS.silver_name).query(
        "select ad_id, date, clicks, impressions, cost_micros, is_deleted from held"
    )
    return {(row.pop("ad_id"), row.pop("date")): row for row in rows.to_pylist()}


def truth(world) -> dict:
    """Without the faults that break an error rule."""
    return {
        (row.ad_id, row.day): {
            "clicks": row.clicks,
            "impressions": row.impressions,
            "cost_micros": int(row.spend * 1_000_000),
            "is_deleted": False,
        }
        for row in world.rows("google", CUSTOMER, FIRST, LAST)
        if fault_of(int(row.ad_id[-6:]), row.day) != "negative spend"
    }


def test_silver_follows_what_is_restated_and_what_vanishes(google, lake, spark):
    world, land = google
    land()
    refine(lambda: spark, GOOGLE_ADS, lake)
    assert held(lake) == truth(world)

    gone, changed = (f"{CUSTOMER.id}000005", LAST), (f"{CUSTOMER.id}000006", LAST)
    kept = truth(world)[gone] | {"is_deleted": True}
    world.vanished.add(("google", *gone))
    world.restated["google", *changed] = {"clicks": 7}
    assert land().receipt.landed == 2
    refine(lambda: spark, GOOGLE_ADS, lake)
    assert held(lake) == truth(world) | {gone: kept}
    assert held(lake)[changed]["clicks"] == 7
