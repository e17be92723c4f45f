"""A joined silver table follows a change on any side, makes the touched keys anew and no others."""

import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pyspark.errors import AnalysisException

from data_platform.declarations import DeclarationError
from data_platform.lake.errors import LakeError
from data_platform.lake.tables import Lake
from data_platform.silver import before, joined_step
from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.joined_step import join
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.silver.products import PRODUCTS
from data_platform.silver.step import refine
from data_platform.sources.facebook import FACEBOOK_ADS
from data_platform.sources.google import GOOGLE_ADS
from data_platform.sources.kafka import INVENTORY_UPDATES
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import OPPORTUNITIES
from tests.integration.landed import land

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MONDAY = date(2026, 6, 1)


def deal(key: str, amount: str | None, currency: str, closes: date, second: int = 0, **more) -> dict:
    stamp = NOON + timedelta(seconds=second)
    told = {"Id": key, "Amount": amount and Decimal(amount), "CurrencyIsoCode": currency, "CloseDate": closes}
    return told | {"CreatedDate": NOON, "LastModifiedDate": stamp, "SystemModstamp": stamp} | more


def rate(currency: str, day: date, value: str) -> dict:
    return {"currency": currency, "date": day, "base": "EUR", "rate": Decimal(value)}


def refresh(spark, lake):
    for table in (OPPORTUNITIES, EXCHANGE_RATES):
        if lake.bronze(table).exists:
            refine(lambda: spark, table, lake)
    return join(lambda: spark, OPPORTUNITY_AMOUNTS, lake)


def dollars(lake) -> dict[str, Decimal | None]:
    held = lake.silver("opportunity_amounts")
    rows = held.query("select opportunity_id, amount_usd from held where not is_deleted").to_pylist()
    return {row["opportunity_id"]: row["amount_usd"] for row in rows}


@pytest.fixture(scope="module")
def made_once(spark, tmp_path_factory):
    lake = Lake(str(tmp_path_factory.mktemp("deals") / "lake"))
    land(
        lake,
        OPPORTUNITIES,
        deal("in euros", "100.00", "EUR", MONDAY),
        deal("in pounds", "100.00", "GBP", MONDAY),
        deal("on sunday", "100.00", "EUR", MONDAY + timedelta(days=6)),
        deal("in dollars", "100.00", "USD", MONDAY - timedelta(days=900)),
        deal("before all rates", "100.00", "EUR", MONDAY - timedelta(days=1)),
        deal("without amount", None, "EUR", MONDAY),
    )
    land(
        lake,
        EXCHANGE_RATES,
        rate("USD", MONDAY, "1.25"),
        rate("GBP", MONDAY, "0.80"),
        rate("USD", MONDAY + timedelta(days=4), "1.50"),
    )
    refresh(spark, lake)
    return lake


@pytest.fixture
def deals(made_once, lake):
    """A copy of the tables, since making them takes longer than any test."""
    shutil.copytree(made_once.uri, lake.uri)
    return lake


def test_an_amount_is_worth_what_its_day_says(deals):
    assert dollars(deals) == {
        "in euros": Decimal("125.00"),
        "in pounds": Decimal("156.25"),
        "on sunday": Decimal("150.00"),
        "in dollars": Decimal("100.00"),
        "before all rates": None,
        "without amount": None,
    }


def test_a_change_of_either_side_is_followed_and_no_other_row_is_made(spark, deals):
    land(deals, OPPORTUNITIES, deal("in euros", "200.00", "EUR", MONDAY, second=1))
    corrected = rate("GBP", MONDAY, "0.50")
    late = rate("USD", MONDAY + timedelta(days=5), "2.00")
    land(deals, EXCHANGE_RATES, corrected, late)
    made = refresh(spark, deals)
    assert dollars(deals) == {
        "in euros": Decimal("250.00"),
        "in pounds": Decimal("250.00"),
        "on sunday": Decimal("200.00"),
        "in dollars": Decimal("100.00"),
        "before all rates": None,
        "without amount": None,
    }
    anew = deals.silver("opportunity_amounts").query("select opportunity_id from held where _batch = 2")
    assert set(anew.column("opportunity_id").to_pylist()) == {"in euros", "in pounds", "on sunday"}
    assert (made.keys, made.merged, made.deleted) == (3, 3, 0)


def test_a_change_that_touches_no_row_moves_the_position_alone(spark, deals):
    """Between the last rate and the next nobody has closed a deal in that currency."""
    held = deals.silver("opportunity_amounts")
    before, batch, position = dollars(deals), held.batch, held.position
    land(deals, EXCHANGE_RATES, rate("JPY", MONDAY, "160.00"))
    made = refresh(spark, deals)
    assert (made.keys, made.merged, made.deleted) == (0, 0, 0)
    assert dollars(deals) == before
    assert held.fresh().batch == batch
    assert held.fresh().position != position
    assert join(lambda: pytest.fail("there is nothing to do"), OPPORTUNITY_AMOUNTS, deals).keys == 0


def test_an_input_that_was_made_anew_is_followed_from_its_first_batch(spark, deals, caplog):
    """It counts its batches from one again; what it does not have any more is gone."""
    land(deals, OPPORTUNITIES, deal("in euros", "200.00", "EUR", MONDAY, second=1))
    refresh(spark, deals)
    assert deals.silver("opportunity_amounts").position["silver/salesforce_opportunities"] == 2
    for table in (deals.bronze(OPPORTUNITIES), deals.silver(OPPORTUNITIES.silver_name)):
        shutil.rmtree(table.uri)
    land(
        deals, OPPORTUNITIES, deal("in pounds", "300.00", "GBP", MONDAY), deal("new", "100.00", "EUR", MONDAY)
    )
    refresh(spark, deals)
    assert "since it was made anew" in caplog.text
    assert dollars(deals) == {"in pounds": Decimal("468.75"), "new": Decimal("125.00")}
    assert deals.silver("opportunity_amounts").position["silver/salesforce_opportunities"] == 1


def test_an_input_that_is_told_by_its_key_alone_needs_no_version_before(spark, deals, monkeypatch, caplog):
    monkeypatch.setattr(before, "KEEP_REPLACED", timedelta(0))
    land(deals, OPPORTUNITIES, deal("in euros", "200.00", "EUR", MONDAY, second=1))
    land(deals, EXCHANGE_RATES, rate("GBP", MONDAY, "0.50"))
    made = refresh(spark, deals)
    assert "made anew" not in caplog.text
    assert made.keys == 2
    assert dollars(deals)["in euros"] == Decimal("250.00")
    assert dollars(deals)["in pounds"] == Decimal("250.00")


def test_of_an_input_that_is_told_by_its_key_alone_nothing_else_can_be_asked(spark, deals):
    curious = replace(
        OPPORTUNITY_AMOUNTS,
        touched=lambda changed, _: (
            changed[OPPORTUNITIES.silver_name].where("amount > 0").select("opportunity_id")
        ),
    )
    land(deals, OPPORTUNITIES, deal("in euros", "200.00", "EUR", MONDAY, second=1))
    refine(lambda: spark, OPPORTUNITIES, deals)
    with pytest.raises(AnalysisException, match="amount"):
        join(lambda: spark, curious, deals)


def test_what_is_told_by_its_key_alone_has_to_be_an_input():
    with pytest.raises(DeclarationError, match="salesforce_leads under by_key_alone"):
        replace(OPPORTUNITY_AMOUNTS, by_key_alone=("salesforce_leads",))


def on_hand(event: str, product: str, quantity: int) -> dict:
    told = {"event_id": event, "product_id": product, "warehouse_id": "W-1", "quantity_on_hand": quantity}
    counted = {"reason": "stocktake", "category": "Books", "quantity_change": 0, "currency": "EUR"}
    return told | counted | {"event_time": NOON, "_order": Decimal(quantity)}


def stock(spark, lake, *told: dict) -> dict[str, int]:
    """What is on hand of each product after these updates."""
    land(lake, INVENTORY_UPDATES, *told)
    refine(lambda: spark, INVENTORY_UPDATES, lake)
    join(lambda: spark, PRODUCTS, lake)
    held = lake.silver(PRODUCTS.name).query(
        "select product_id, quantity_on_hand from held where not is_deleted"
    )
    return {row["product_id"]: row["quantity_on_hand"] for row in held.to_pylist()}


@pytest.mark.parametrize(("kept", "anew"), [(before.KEEP_REPLACED, False), (timedelta(0), True)])
def test_what_a_changed_row_belonged_to_before_is_followed(spark, lake, monkeypatch, caplog, kept, anew):
    """Where the version that told may be vacuumed, all is made anew."""
    monkeypatch.setattr(before, "KEEP_REPLACED", kept)
    first = on_hand("1", "chair", 5), on_hand("2", "lamp", 9), on_hand("3", "table", 7)
    assert stock(spark, lake, *first) == {"chair": 5, "table": 7, "lamp": 9}
    assert stock(spark, lake, on_hand("3", "lamp", 11)) == {"chair": 5, "lamp": 11}
    assert ("made anew, all of it" in caplog.text) == anew
    # What comes out as it was is no change to whoever reads on.
    changed = lake.silver(PRODUCTS.name).query("select product_id from held where _batch = 2")
    assert set(changed.column("product_id").to_pylist()) == {"table", "lamp"}


def test_what_is_deleted_on_either_side_is_followed(spark, deals):
    land(deals, OPPORTUNITIES, deal("in euros", "100.00", "EUR", MONDAY, second=1, _op="delete"))
    land(deals, EXCHANGE_RATES, rate("USD", MONDAY + timedelta(days=4), "1.50") | {"_op": "delete"})
    made = refresh(spark, deals)
    assert made.deleted == 1
    assert "in euros" not in dollars(deals)
    assert dollars(deals)["on sunday"] == Decimal("125.00")
    kept = deals.silver("opportunity_amounts").query("select amount_usd from held where is_deleted")
    assert kept.column("amount_usd").to_pylist() == [Decimal("125.00")]


def test_both_platforms_come_out_in_one_schema(spark, lake):
    ad = {"account_id": "1", "ad_id": "7", "date_start": MONDAY, "account_currency": "eur"}
    land(lake, FACEBOOK_ADS, ad | {"impressions": 200, "clicks": 4, "spend": Decimal("10.00")})
    land(
        lake,
        GOOGLE_ADS,
        {
            "customer.id": "2",
            "ad_group_ad.ad.id": "7",
            "segments.date": MONDAY,
            "customer.currency_code": "USD",
        }
        | {"metrics.impressions": 0, "metrics.clicks": 0, "metrics.cost_micros": 1_235_000},
    )
    land(lake, EXCHANGE_RATES, rate("USD", MONDAY, "1.25"))
    for table in AD_PERFORMANCE.inputs:
        refine(lambda: spark, table, lake)
    join(lambda: spark, AD_PERFORMANCE, lake)
    told = "select platform, ad_id, day, currency, spend, spend_usd, click_through_rate, cost_per_click from held"
    rows = {row["platform"]: row for row in lake.silver("ad_performance").query(told).to_pylist()}
    assert rows == {
        "facebook": {
            "platform": "facebook",
            "ad_id": "7",
            "day": MONDAY,
            "currency": "EUR",
            "spend": Decimal("10.00"),
            "spend_usd": Decimal("12.50"),
            "click_through_rate": 0.02,
            "cost_per_click": Decimal("2.5000"),
        },
        "google": {
            "platform": "google",
            "ad_id": "7",
            "day": MONDAY,
            "currency": "USD",
            "spend": Decimal("1.24"),
            "spend_usd": Decimal("1.24"),
            "click_through_rate": None,
            "cost_per_click": None,
        },
    }


def no_spark():
    raise AssertionError("a step without work started Spark")


def test_without_a_change_nothing_is_done(deals):
    version = deals.silver("opportunity_amounts").version
    join(no_spark, OPPORTUNITY_AMOUNTS, deals)
    assert deals.silver("opportunity_amounts").version == version


def test_a_change_that_touches_no_row_moves_the_position_and_makes_no_batch(spark, deals):
    before = deals.silver("opportunity_amounts")
    assert before.exists
    land(deals, EXCHANGE_RATES, rate("CHF", MONDAY, "0.95"))
    made = refresh(spark, deals)
    after = deals.silver("opportunity_amounts")
    assert (made.batch, made.keys, after.batch) == (before.batch, 0, before.batch)
    assert (
        after.position["silver/rest_api_exchange_rates"]
        == 1 + before.position["silver/rest_api_exchange_rates"]
    )
    assert after.version > before.version
    assert join(no_spark, OPPORTUNITY_AMOUNTS, deals).batch == before.batch
    land(deals, OPPORTUNITIES, deal("in francs", "95.00", "CHF", MONDAY))
    assert refresh(spark, deals).batch == before.batch + 1
    assert dollars(deals)["in francs"] == Decimal("125.00")


def test_one_input_alone_is_enough(spark, lake):
    land(lake, OPPORTUNITIES, deal("in euros", "100.00", "EUR", MONDAY))
    refresh(spark, lake)
    assert dollars(lake) == {"in euros": None}
    land(lake, EXCHANGE_RATES, rate("USD", MONDAY, "1.25"))
    refresh(spark, lake)
    assert dollars(lake) == {"in euros": Decimal("125.00")}


def test_without_any_input_the_error_says_what_to_make_first(spark, lake):
    with pytest.raises(
        LakeError, match="materialize one of its inputs first: silver/salesforce_opportunities"
    ):
        join(lambda: spark, OPPORTUNITY_AMOUNTS, lake)


def test_a_step_that_dies_before_its_commit_is_made_up_for(spark, deals, monkeypatch):
    land(deals, OPPORTUNITIES, deal("in euros", "200.00", "EUR", MONDAY, second=1))

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(joined_step, "merge", dies)
        with pytest.raises(KeyboardInterrupt):
            refresh(spark, deals)
    assert dollars(deals)["in euros"] == Decimal("125.00")
    refresh(spark, deals)
    assert dollars(deals)["in euros"] == Decimal("250.00")


def test_rounds_of_change_end_where_one_build_of_all_ends(spark, deals):
    """Changes of both sides in random order, followed step by step, against a table made at the end."""
    lake, chance = deals, random.Random(4)  # noqa: S311 - no secret
    for second in range(1, 3):
        land(
            lake,
            OPPORTUNITIES,
            *(
                deal(
                    f"deal {chance.randrange(12)}",
                    f"{chance.randrange(1, 999)}.00",
                    chance.choice(["EUR", "GBP", "USD"]),
                    MONDAY + timedelta(days=chance.randrange(12)),
                    second=second,
                    _op=chance.choice(["upsert", "upsert", "upsert", "delete"]),
                )
                for _ in range(4)
            ),
        )
        land(
            lake,
            EXCHANGE_RATES,
            *(
                rate(
                    chance.choice(["GBP", "USD"]),
                    MONDAY + timedelta(days=chance.randrange(12)),
                    f"{chance.randrange(50, 150) / 100}",
                )
                | {"_op": chance.choice(["upsert", "upsert", "delete"])}
                for _ in range(2)
            ),
        )
        refresh(spark, lake)
    followed = dollars(lake)
    live = {
        table.silver_name: spark.read.format("delta")
        .load(lake.silver(table.silver_name).uri)
        .where("not is_deleted")
        for table in OPPORTUNITY_AMOUNTS.inputs
    }
    made = OPPORTUNITY_AMOUNTS.made(live).select("opportunity_id", "amount_usd").collect()
    assert followed == {row["opportunity_id"]: row["amount_usd"] for row in made}
