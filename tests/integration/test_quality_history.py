"""Scores are kept each time they are measured, by table and by domain, and add up from one to the other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_platform.checks.history import Measured, keep, latest, timeliness
from data_platform.checks.measuring import SCORES, domain_checks, scores_asset
from data_platform.declarations import Dimension
from data_platform.described import bronze_key
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.sources.rest_api import EXCHANGE_RATES

MONDAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
V, U, T = Dimension.VALIDITY, Dimension.UNIQUENESS, Dimension.TIMELINESS


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(_env_file=None, data_platform_home=tmp_path)


def told(settings: Settings, where: str) -> dict[tuple[str, str], float]:
    rows = lake_of(settings).scores().query(f"select name, dimension, score from held where {where}")
    return {(row["name"], row["dimension"]): row["score"] for row in rows.to_pylist()}


def test_a_domain_is_the_mean_of_its_tables_and_the_past_is_kept(settings):
    leads = Measured("leads", "sales", 10, {V: 80.0, U: 100.0})
    contacts = Measured("contacts", "sales", 30, {V: 100.0})
    ads = Measured("ads", "marketing", 5, {T: 50.0})
    lake = lake_of(settings)
    keep([leads, contacts, ads], lake, MONDAY)
    assert latest(lake, "table") == {"leads": 90.0, "contacts": 100.0, "ads": 50.0}
    assert latest(lake, "domain") == {"sales": 95.0, "marketing": 50.0}
    assert told(settings, "level = 'domain'") == {
        ("sales", "validity"): 90.0,
        ("sales", "uniqueness"): 100.0,
        ("sales", "all"): 95.0,
        ("marketing", "timeliness"): 50.0,
        ("marketing", "all"): 50.0,
    }
    keep([replace(ads, sides={T: 100.0})], lake, MONDAY + timedelta(days=1))
    assert latest(lake, "domain") == {"marketing": 100.0}
    past = lake.scores().query(
        "select score from held where name = 'ads' and dimension = 'all' order by measured_at"
    )
    assert past.column("score").to_pylist() == [50.0, 100.0]


@pytest.mark.parametrize(("hours", "score"), [(0, 100.0), (1, 100.0), (26, 100.0), (52, 50.0), (260, 10.0)])
def test_a_load_is_on_time_while_it_is_no_older_than_promised(hours, score):
    assert timeliness(timedelta(hours=hours), EXCHANGE_RATES.every.promise) == pytest.approx(score)


def write_silver(settings: Settings) -> None:
    """Four rates; five amounts, two of them under one key."""
    rates = [
        {"currency": f"C{number}", "date": MONDAY.date(), "is_deleted": False, "_warnings": []}
        for number in range(4)
    ]
    schema = pa.schema(
        [
            ("currency", pa.string()),
            ("date", pa.date32()),
            ("is_deleted", pa.bool_()),
            ("_warnings", pa.list_(pa.string())),
        ]
    )
    lake = lake_of(settings)
    write_deltalake(lake.silver(EXCHANGE_RATES.silver_name).uri, pa.Table.from_pylist(rates, schema=schema))
    amounts = pa.table(
        {"opportunity_id": ["a", "b", "c", "d", "d"], "is_deleted": pa.array([False] * 5, pa.bool_())}
    )
    write_deltalake(lake.silver(OPPORTUNITY_AMOUNTS.name).uri, amounts)


def test_every_silver_table_is_measured_and_its_domain_checked(settings):
    write_silver(settings)
    instance = dg.DagsterInstance.ephemeral()
    instance.report_runless_asset_event(dg.AssetMaterialization(bronze_key(EXCHANGE_RATES)))
    tables, joined = [EXCHANGE_RATES], [OPPORTUNITY_AMOUNTS]
    owners = [EXCHANGE_RATES.owner, OPPORTUNITY_AMOUNTS.owner, "team:nobody-yet"]
    defs = dg.Definitions(
        assets=[scores_asset(tables, joined, settings)],
        asset_checks=[domain_checks(owners, settings)],
        jobs=[dg.define_asset_job("measured")],
    )
    run = defs.resolve_job_def("measured").execute_in_process(instance=instance)
    scores = told(settings, "level = 'table'")
    assert scores["rest_api_exchange_rates", "uniqueness"] == 100.0
    assert scores["rest_api_exchange_rates", "timeliness"] == 100.0
    assert scores["opportunity_amounts", "uniqueness"] == pytest.approx(80.0)
    assert scores["opportunity_amounts", "all"] == pytest.approx(90.0)
    checks = {each.check_name: each for each in run.get_asset_check_evaluations()}
    assert {name: each.passed for name, each in checks.items()} == {
        "finance_score": True,
        "revenue_score": False,
        "nobody_yet_score": True,
    }
    assert {each.severity for each in checks.values()} == {dg.AssetCheckSeverity.WARN}
    (made,) = run.asset_materializations_for_node("quality__scores")
    assert made.asset_key == SCORES
    assert made.metadata["revenue"].value == pytest.approx(90.0)
