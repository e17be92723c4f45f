"""The metrics that the dbt project defines, asked through MetricFlow, against the truth of the company."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup


class WritesForDuckDB:
    """What MetricFlow asks of a warehouse while it only writes SQL."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()


@pytest.fixture(scope="module")
def metrics(gold):
    target = gold.settings.home / "warehouse" / "dbt"
    manifest = parse_manifest_from_dbt_generated_manifest((target / "semantic_manifest.json").read_text())
    return MetricFlowEngine(SemanticManifestLookup(manifest), WritesForDuckDB())


def ask(gold, metrics: MetricFlowEngine, names: list[str], *by: str) -> dict[tuple, tuple]:
    """The metrics' values by what they are grouped by."""
    request = MetricFlowQueryRequest.create(metric_names=names, group_by_names=list(by))
    sql = metrics.explain(request).sql_statement.without_descriptions.sql
    return {row[: len(by)]: row[len(by) :] for row in gold.query(sql)}


def by_key(rows: list[tuple[Any, Decimal]]) -> dict[tuple, Decimal]:
    sums: dict[tuple, Decimal] = defaultdict(Decimal)
    for key, amount in rows:
        sums[key,] += amount or Decimal(0)
    return dict(sums)


def test_revenue_by_status_is_what_orders_brought(gold, metrics):
    asked = ask(gold, metrics, ["revenue"], "order__status")
    orders = [row for row in gold.truth.orders() if not row["is_deleted"]]
    truth = by_key([(row["status"], row["revenue_usd"]) for row in orders])
    assert {key: value for key, (value,) in asked.items() if value} == {
        key: value for key, value in truth.items() if value
    }


def test_revenue_and_orders_by_the_country_that_customers_had_then(gold, metrics):
    asked = ask(gold, metrics, ["orders"], "customer_version__country")
    ((known,),) = gold.query(
        "select count(*) from sales.fct_orders where not is_deleted and customer_id is not null"
    )
    assert sum(value for (country,), (value,) in asked.items() if country) == known
    assert {country for (country,) in asked} <= {"DE", "FR", "US", None}


def test_a_ratio_is_made_of_its_sums_and_not_of_other_ratios(gold, metrics):
    asked = ask(gold, metrics, ["click_through_rate", "spend"], "metric_time__month")
    shown: dict[tuple, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for row in gold.company.live("ad_performance"):
        sums = shown[row["day"].year, row["day"].month]
        shown[row["day"].year, row["day"].month] = [
            held + row[name] for held, name in zip(sums, ("clicks", "impressions", "spend_usd"), strict=True)
        ]
    assert {
        (month.year, month.month): (pytest.approx(rate), spend) for (month,), (rate, spend) in asked.items()
    } == {month: (float(clicks / seen), spend) for month, (clicks, seen, spend) in shown.items()}


def test_metrics_of_several_tables_stand_beside_each_other(gold, metrics):
    ((revenue, spend, ratio, visitors),) = ask(
        gold, metrics, ["revenue", "spend", "revenue_per_spend", "visitors"]
    ).values()
    orders = [row for row in gold.truth.orders() if not row["is_deleted"]]
    assert revenue == sum((row["revenue_usd"] or Decimal(0) for row in orders), Decimal(0))
    assert spend == sum(row["spend_usd"] for row in gold.company.live("ad_performance"))
    assert float(ratio) == pytest.approx(float(revenue / spend))
    assert visitors == len({row["visitor_id"] for row in gold.company.live("user_sessions")})


def test_every_metric_can_be_asked(gold, metrics):
    names = sorted(metric.name for metric in metrics.list_metrics())
    assert len(names) >= 23
    for name in names:
        assert ask(gold, metrics, [name], "metric_time__month"), name
