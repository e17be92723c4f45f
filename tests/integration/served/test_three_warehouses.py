"""Every table of gold on DuckDB, Redshift and Snowflake: the same rows, after a first build and after changes.

The models are taken from dbt's manifest and the rows are drawn from the declarations, so that a new model is compared
without a word here.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import pytest

from data_platform.definitions import warehouse_copies
from data_platform.gold.assets import gold_assets
from data_platform.gold.dbt import run_dbt, seed_parse
from data_platform.gold.served import serve, target_for
from data_platform.gold.warehouse import warehouse_assets
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from tests.integration.served.company import ROWS, Table, plain, silver_of
from tests.integration.served.conftest import BUCKET, S3_LOGIN

# A first build, and one after changes; each takes seconds in three warehouses.
ROUNDS = 2
UNIT_TESTS = ("--exclude-resource-type", "unit_test")


@dataclass
class Warehouse:
    """A warehouse as the platform builds in it, and as somebody asks it."""

    settings: Settings
    ask: Callable[[str], list[tuple]]

    @property
    def name(self) -> str:
        return self.settings.warehouse

    @property
    def target(self) -> Path:
        return self.settings.home / "dbt" / self.name

    def dbt(self, *arguments: str) -> Any:
        seed_parse(self.settings, self.target)
        return run_dbt(self.settings, ["--quiet", *arguments], self.target)

    def manifest(self) -> dict:
        return json.loads((self.target / "manifest.json").read_text())

    def load(self, tables: list[Table], lake: Lake) -> None:
        if self.name == "duckdb":
            return
        read = {table.table.name.split("/")[-1] for table in tables}
        for copy in warehouse_copies():
            if copy.name in read:
                assert serve(copy, target_for(self.name, self.settings), lake).adds_up, copy.name

    def rows(self, model: dict) -> list[tuple]:
        asked = f"select {', '.join(model['columns'])} from {model['schema']}.{model['name']}"
        return sorted((tuple(plain(value) for value in row) for row in self.ask(asked)), key=str)


@pytest.fixture(scope="module")
def warehouses(served_postgres, redshift, snowflake, s3_url, tmp_path_factory) -> list[Warehouse]:
    home = tmp_path_factory.mktemp("three")
    lowered = [
        {name.lower(): value for name, value in server.settings().items()} for server in (redshift, snowflake)
    ]
    staging = {"redshift_staging_uri": f"s3://{BUCKET}/{uuid4().hex}", "aws_endpoint_url": s3_url, **S3_LOGIN}

    def settings(warehouse, **given):
        return Settings(_env_file=None, warehouse=warehouse, data_platform_home=home, **given)

    on_duckdb = settings("duckdb")

    def ask_duckdb(question):
        with duckdb.connect(str(on_duckdb.duckdb_building), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(question).fetchall()

    def ask_snowflake(question):
        with snowflake.cursor() as cursor:
            cursor.execute("use database data_platform")
            return cursor.execute(question).fetchall()

    return [
        Warehouse(on_duckdb, ask_duckdb),
        Warehouse(settings("redshift", **lowered[0], **staging), served_postgres.execute),
        Warehouse(settings("snowflake", **lowered[1]), ask_snowflake),
    ]


@pytest.fixture(scope="module")
def lake(warehouses) -> Lake:
    return Lake(warehouses[0].settings.lake)


@pytest.fixture(scope="module")
def built(warehouses, lake) -> dict[int, dict[str, dict[str, list[tuple]]]]:
    """By round and warehouse, the rows of every model that is a table."""
    assert all(warehouse.dbt("parse").success for warehouse in warehouses)
    nodes = warehouses[0].manifest()["nodes"].values()
    read = {
        name.split(".")[-1]
        for node in nodes
        for name in node["depends_on"].get("nodes", [])
        if name.startswith("source.")
    }
    models = [
        node
        for node in nodes
        if node["resource_type"] == "model" and node["config"]["materialized"] in ("table", "incremental")
    ]
    promised = {
        column["name"]
        for node in nodes
        for column in node["columns"].values()
        if "not_null" in {constraint["type"] for constraint in column["constraints"]}
    }
    tables, random = silver_of(lake, read, promised), Random(11)  # noqa: S311 - the same each time
    seen = {}
    for number in range(ROUNDS):
        for table in tables:
            table.draw(random, 5 if number else ROWS)
            if number:
                table.remove(random, 2)
        for warehouse in warehouses:
            warehouse.load(tables, lake)
            ended = warehouse.dbt("run")
            wrong = [
                (each.node.name, str(each.message)[:400])
                for each in ended.result or []
                if each.status == "error"
            ]
            assert ended.success, (warehouse.name, wrong, ended.exception)
        seen[number] = {
            warehouse.name: {model["name"]: warehouse.rows(model) for model in models}
            for warehouse in warehouses
        }
    return seen


@pytest.mark.parametrize("warehouse", ["redshift", "snowflake"])
@pytest.mark.parametrize("number", range(ROUNDS))
def test_every_table_of_gold_is_the_same_as_on_duckdb(built, warehouse, number):
    expected, given = built[number]["duckdb"], built[number][warehouse]
    differing = {
        name: _first(expected[name], given[name]) for name in expected if expected[name] != given[name]
    }
    assert differing == {}
    assert len(expected) >= 8
    assert sum(map(len, expected.values())) > 50


def _first(expected: list[tuple], given: list[tuple]) -> tuple:
    """The first rows of each that the other lacks."""
    there, here = set(expected), set(given)
    missing = [row for row in expected if row not in here]
    more = [row for row in given if row not in there]
    return len(expected), len(given), missing[:1], more[:1]


def test_changes_changed_what_is_compared(built):
    assert built[0]["duckdb"] != built[1]["duckdb"]


def test_dbts_tests_come_to_the_same_verdicts(built, warehouses):
    """Rows are drawn, so some promises are broken: in each warehouse as often."""

    def verdicts(warehouse: Warehouse) -> dict[str, tuple]:
        ended = warehouse.dbt("test", "--exclude", "test_type:unit")
        return {each.node.name: (str(each.status), each.failures) for each in ended.result}

    expected, *others = [verdicts(warehouse) for warehouse in warehouses]
    assert "error" not in {status for status, _ in expected.values()}
    for given in others:
        assert {
            name: (verdict, given[name]) for name, verdict in expected.items() if given[name] != verdict
        } == {}


def test_a_run_of_dagster_loads_silver_and_builds_on_it(built, warehouses):
    settings = warehouses[1].settings
    gold = gold_assets(settings)
    loads = warehouse_assets(warehouse_copies(), gold.dependency_keys, settings)
    asked = {key.to_user_string() for key in gold.dependency_keys}
    silver = {load.key.to_user_string() for load in loads}
    assert silver == {key for key in asked if not key.startswith("gold/")}
    assert "warehouse/redshift/silver/salesforce_accounts" in silver
    chosen = [
        "warehouse/redshift/silver/salesforce_accounts",
        "gold/stg_salesforce__accounts",
        "gold/dim_accounts",
    ]

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([gold, *loads], selection=chosen, instance=instance)

    told = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in done.get_asset_materialization_events()
    }
    assert set(told) == set(chosen)
    assert told["gold/dim_accounts"]["dagster/row_count"].value == len(
        built[ROUNDS - 1]["redshift"]["dim_accounts"]
    )
    checks = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert checks["receipt_adds_up"]
    assert checks["dim_accounts_is_unique"]


def test_readers_are_granted_what_they_may_see(built, warehouses, served_postgres):
    on_redshift = warehouses[1]
    for reader in ("data_engineer", "data_analyst", "business_user", "crm_analyst"):
        served_postgres.execute(f"create role {reader}")
    granting = replace(
        on_redshift, settings=on_redshift.settings.model_copy(update={"warehouse_grants": True})
    )

    assert granting.dbt("run", "--select", "fct_leads", "dim_contacts").success

    def sees(reader: str, table: str, column: str) -> bool:
        asked = (
            f"select has_column_privilege('{reader}', '{table}', '{column}', 'select') "
            f"and has_schema_privilege('{reader}', '{table.split('.')[0]}', 'usage')"
        )
        return served_postgres.execute(asked) == [(True,)]

    assert sees("data_engineer", "crm.fct_leads", "email")
    assert sees("data_analyst", "crm.fct_leads", "status")
    assert not sees("data_analyst", "crm.fct_leads", "email")
    assert not sees("business_user", "crm.fct_leads", "status")
    assert sees("crm_analyst", "crm.fct_leads", "email")
    assert sees("crm_analyst", "core.dim_contacts", "email")
    assert not sees("crm_analyst", "core.dim_accounts", "account_name")


@pytest.mark.parametrize("which", range(3), ids=["duckdb", "redshift", "snowflake"])
def test_a_model_that_fails_leaves_its_table_as_it_was(built, warehouses, which, tmp_path, monkeypatch):
    warehouse = warehouses[which]
    model = next(node for node in warehouse.manifest()["nodes"].values() if node["name"] == "mart_pipeline")
    before = warehouse.rows(model)
    broken = copied_project(warehouse.settings, tmp_path)
    file = broken / model["original_file_path"]
    # It fails as late as it can: the rows are asked for when the table is made.
    file.write_text(
        file.read_text().replace(
            "count(*) as opportunities", "count(*) / (count(*) - count(*)) as opportunities"
        )
    )
    monkeypatch.setattr(Settings, "dbt_project", broken)
    ended = run_dbt(warehouse.settings, ["--quiet", "run", "--select", "mart_pipeline"], tmp_path / "target")
    assert not ended.success
    assert warehouse.rows(model) == before


def copied_project(settings: Settings, folder: Path) -> Path:
    """The project with all that it finds beside it."""
    copy = folder / "checkout" / "dbt_project"
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(settings.dbt_project, copy, ignore=ignored)
    (copy.parent / ".tools").symlink_to(settings.dbt_project.parent / ".tools")
    return copy
