"""Silver is compared with bronze row by row and sum by sum: what went missing, or changed on its way, is found."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from data_platform.checks.assets import RECONCILED, silver_checks
from data_platform.checks.reconciled import Reconciled, reconciled
from data_platform.declarations import (
    DAILY,
    DECIMAL,
    ERROR,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    Normalise,
    SourceTable,
    at_least,
    years,
)
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.step import refine
from tests.integration.landed import land

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEALS = SourceTable(
    system="crm",
    name="deals",
    reads="Deal",
    key=("Id",),
    load=Incremental(cursor="ChangedAt", overlap=timedelta(minutes=1)),
    every=DAILY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("Id", STRING, required=True, normalise=Normalise.UPPER),
        Column("Amount", DECIMAL(18, 2), sensitive=True, rule=at_least(0, ERROR)),
        Column("ChangedAt", TIMESTAMP, required=True),
    ),
    description="What we sold.",
)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(_env_file=None, data_platform_home=tmp_path)


@pytest.fixture
def lake(settings) -> Lake:
    return lake_of(settings)


def deal(key: str | None, amount: str | None, second: int = 0, **more) -> dict:
    told = {"Id": key, "Amount": amount and Decimal(amount), "ChangedAt": NOON + timedelta(seconds=second)}
    return told | more


def test_all_that_came_in_is_there_with_its_money(spark, lake):
    land(
        lake,
        DEALS,
        deal(" a ", "10.00"),
        deal("b", "20.50"),
        deal("b", "30.00", second=1),
        deal("negative", "-1.00"),
        deal(None, "5.00"),
        deal(None, "5.00"),
        deal("no amount", None),
    )
    refine(lambda: spark, DEALS, lake)
    total = Decimal("10.00") + Decimal("30.00") - Decimal("1.00") + Decimal("10.00")
    assert reconciled(DEALS, lake) == Reconciled(6, 0, {"amount": (total, total)})

    land(lake, DEALS, deal("b", "40.00", second=2), deal("a", None, second=3, _op="delete"))
    # Late: what is held of it is newer, and had landed before.
    land(lake, DEALS, deal("no amount", "7.00", second=-5), deal("negative", "2.00", second=4))
    refine(lambda: spark, DEALS, lake)
    assert reconciled(DEALS, lake) == Reconciled(4, 0, {"amount": (Decimal("42.00"), Decimal("42.00"))})


@pytest.fixture
def refined(spark, lake) -> str:
    land(lake, DEALS, deal("a", "10.00"), deal("b", "20.00"), deal("c", "30.00"))
    refine(lambda: spark, DEALS, lake)
    assert reconciled(DEALS, lake).agrees
    return lake.silver(DEALS.silver_name).uri


def check(settings: Settings) -> dg.AssetCheckEvaluation:
    defs = dg.Definitions(
        asset_checks=[silver_checks(DEALS, settings)],
        jobs=[dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())],
    )
    run = defs.resolve_job_def("checks").execute_in_process(raise_on_error=False)
    (found,) = (each for each in run.get_asset_check_evaluations() if each.check_name == RECONCILED)
    assert run.success is found.passed
    return found


def test_a_row_that_went_missing_is_found_and_holds_up_what_is_downstream(spark, settings, lake, refined):
    spark.sql(f"delete from delta.`{refined}` where id = 'B'")
    assert reconciled(DEALS, lake) == Reconciled(3, 1, {"amount": (Decimal("40.00"), Decimal("40.00"))})
    found = check(settings)
    assert (found.passed, found.blocking, found.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert found.metadata["missing"].value == 1


def test_money_that_changed_on_its_way_is_found(spark, lake, refined):
    spark.sql(f"update delta.`{refined}` set amount = 20.01 where id = 'B'")
    assert reconciled(DEALS, lake) == Reconciled(3, 0, {"amount": (Decimal("60.00"), Decimal("60.01"))})


def test_an_older_version_in_the_place_of_a_newer_one_is_found(spark, lake, refined):
    land(lake, DEALS, deal("a", "11.00", second=1))
    refine(lambda: spark, DEALS, lake)
    assert reconciled(DEALS, lake).agrees
    held = "amount = 10.00, _source_batch = 1, changed_at = timestamp '2026-06-01 12:00:00Z'"
    spark.sql(f"update delta.`{refined}` set {held} where id = 'A'")
    assert reconciled(DEALS, lake).missing == 1


def test_versions_that_nothing_puts_in_order_raise_no_alarm(spark, lake):
    land(lake, DEALS, deal("a", "10.00"), deal("a", "11.00"), deal("b", "1.00"))
    refine(lambda: spark, DEALS, lake)
    assert reconciled(DEALS, lake) == Reconciled(2, 0, {"amount": (Decimal("1.00"), Decimal("1.00"))})
