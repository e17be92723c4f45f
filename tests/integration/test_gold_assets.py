"""Gold as Dagster shows and builds it."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from dagster import AssetCheckSeverity, AssetKey, AutomationCondition, DagsterInstance, materialize
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from deltalake import write_deltalake

from data_platform.gold.assets import gold_assets
from data_platform.gold.dbt import run_dbt
from data_platform.lake.schema import arrow_type
from data_platform.settings import Settings
from data_platform.sources.salesforce import TABLES

# What is made of Salesforce's tables alone, and has checks.
CRM = {
    "dim_accounts",
    "dim_contacts",
    "fct_leads",
    "fct_opportunities",
    "mart_lead_funnel",
    "mart_pipeline",
    "mart_win_rate",
    "mart_sales_cycle",
    "stg_salesforce__accounts",
    "stg_salesforce__contacts",
    "stg_salesforce__leads",
    "stg_salesforce__opportunities",
}
MADE = datetime(2024, 1, 1, tzinfo=UTC)


def write_silver(settings: Settings, copies_of_the_lead: int = 1) -> None:
    """One row in each table; a lead that is there twice is what silver promises not to have."""
    for table in TABLES:
        fields = [pa.field(c.silver_name, arrow_type(c.type)) for c in table.columns if c.silver_name]
        said = [
            pa.field("is_deleted", pa.bool_()),
            pa.field("_batch", pa.int64()),
            pa.field("_landed_at", pa.timestamp("us", tz="UTC")),
            pa.field("_warnings", pa.list_(pa.string())),
        ]
        row = {table.silver_key[0]: "the one", "created_at": MADE, "system_modstamp": MADE}
        row |= {"is_deleted": False, "_batch": 1, "_landed_at": MADE, "_warnings": []}
        rows = [row] * (copies_of_the_lead if table.name == "leads" else 1)
        held = pa.Table.from_pylist(rows, schema=pa.schema(fields + said))
        write_deltalake(f"{settings.lake}/silver/{table.silver_name}", held)
    amounts = {"opportunity_id": "the one", "amount_usd": Decimal("2.00"), "is_deleted": False, "_batch": 1}
    schema = pa.schema(
        [
            ("opportunity_id", pa.string()),
            ("amount_usd", pa.decimal128(18, 2)),
            ("is_deleted", pa.bool_()),
            ("_batch", pa.int64()),
        ]
    )
    held = pa.Table.from_pylist([amounts], schema=schema)
    write_deltalake(f"{settings.lake}/silver/opportunity_amounts", held)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(data_platform_home=tmp_path / "home", lake_uri="")


def test_models_are_assets_that_depend_on_silver_and_tests_are_their_checks(settings):
    condition = AutomationCondition.eager()
    gold = gold_assets(settings, condition)
    facts = gold.get_asset_spec(AssetKey(["gold", "fct_leads"]))
    assert {dep.asset_key.to_user_string() for dep in facts.deps} == {
        "gold/dim_accounts",
        "gold/dim_contacts",
        "gold/stg_salesforce__leads",
    }
    assert facts.group_name == "crm"
    assert facts.owners == ["team:revenue"]
    assert facts.kinds == {"dbt", "duckdb"}
    assert facts.automation_condition == condition
    assert {key.to_user_string() for key in gold.dependency_keys if key.path[0] == "silver"} >= {
        f"silver/{table.silver_name}" for table in TABLES
    }
    assert {key.name for key in gold.check_keys if key.asset_key == facts.key} == {
        "fct_leads_has_its_account",
        "fct_leads_has_its_contact",
        "fct_leads_is_unique",
    }
    assert gold.op.pool == "duckdb"


def test_a_build_tells_rows_and_checks_and_lets_go_of_the_warehouse(settings):
    write_silver(settings)
    built = materialize([gold_assets(settings)], instance=DagsterInstance.ephemeral())
    rows = {
        event.asset_key.path[-1]: event.materialization.metadata["dagster/row_count"].value
        for event in built.get_asset_materialization_events()
        if not event.asset_key.path[-1].startswith("stg_")
    }
    # The unknown member is a row of each dimension.
    assert {name: rows[name] for name in ("dim_accounts", "dim_contacts", "fct_leads", "mart_win_rate")} == {
        "dim_accounts": 2,
        "dim_contacts": 2,
        "fct_leads": 1,
        "mart_win_rate": 0,
    }
    checks = built.get_asset_check_evaluations()
    assert {check.asset_check_key for check in checks} == {
        key for key in gold_assets(settings).check_keys if key.asset_key.path[-1] in {*CRM, "dim_dates"}
    }
    assert all(check.passed for check in checks)
    with duckdb.connect(str(settings.duckdb_file)) as writer:
        assert writer.execute("select lead_id from crm.fct_leads").fetchall() == [("the one",)]


def test_a_test_that_fails_is_a_failed_check_and_holds_back_what_is_behind_it(settings):
    write_silver(settings, copies_of_the_lead=2)
    instance = DagsterInstance.ephemeral()
    built = materialize([gold_assets(settings)], instance=instance, raise_on_error=False)
    assert not built.success
    failed = [check for check in built.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("fct_leads_is_unique", AssetCheckSeverity.ERROR)
    ]
    materialized = {event.asset_key.path[-1] for event in built.get_asset_materialization_events()}
    assert "mart_pipeline" in materialized
    assert "mart_lead_funnel" not in materialized
    (failure,) = (event for event in built.all_events if event.is_step_failure)
    said = failure.step_failure_data.error.message
    assert "fct_leads_is_unique" in said
    assert "the one" not in said


def test_the_warehouse_is_let_go_of_even_where_something_still_holds_dbts_connection(settings, tmp_path):
    held = []
    run_dbt(
        settings,
        ["--quiet", "run-operation", "run_query", "--args", "{sql: select 1}"],
        tmp_path / "target",
        lambda _: held.append(DuckDBConnectionManager._ENV),
    )
    assert any(held)
    with duckdb.connect(str(settings.duckdb_building), read_only=True) as reader:
        assert reader.execute("select 1").fetchall() == [(1,)]


def test_a_part_of_gold_is_built_alone(settings):
    write_silver(settings)
    gold = gold_assets(settings)
    built = materialize(
        [gold],
        selection=["gold/stg_salesforce__accounts", "gold/dim_accounts"],
        instance=DagsterInstance.ephemeral(),
    )
    materialized = {event.asset_key.path[-1] for event in built.get_asset_materialization_events()}
    assert materialized == {"stg_salesforce__accounts", "dim_accounts"}
    assert {check.check_name for check in built.get_asset_check_evaluations()} == {
        "dim_accounts_is_unique",
        "dim_accounts_versions_do_not_overlap",
    }


def test_gold_is_built_without_what_depends_on_sources_that_were_never_landed(settings):
    write_silver(settings)
    built = materialize([gold_assets(settings)], instance=DagsterInstance.ephemeral())
    materialized = {event.asset_key.path[-1] for event in built.get_asset_materialization_events()}
    # The calendar is made of nothing.
    assert materialized == {*CRM, "stg_opportunity_amounts", "dim_dates"}


def test_what_lacks_all_that_it_is_made_of_says_so(settings):
    built = materialize(
        [gold_assets(settings)],
        selection=["gold/stg_orders"],
        instance=DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    (failure,) = (event for event in built.all_events if event.is_step_failure)
    said = failure.step_failure_data.error.message
    assert "gold has nothing to be built from yet" in said
    assert "silver/orders" in said
