"""The definitions as Dagster loads them: complete, quick to load, and touching nothing."""

import subprocess
import sys

import dagster as dg
import pytest

from data_platform.automation.conditions import on_change
from data_platform.checks.assets import RECONCILED
from data_platform.declarations import Every, Severity, Stream, Window
from data_platform.definitions import build
from data_platform.described import bronze_key, silver_key
from data_platform.settings import CHECKOUT, Settings
from data_platform.silver.catalogue import JOINED
from data_platform.sources.catalogue import TABLES

LOADED_WITHOUT_A_NETWORK = """
import socket, subprocess, sys
import dagster  # which asks `file` about Python, once

def refuse(*_, **__):
    raise AssertionError("loading definitions opened a connection or started a process")

socket.socket.connect = socket.create_connection = subprocess.Popen.__init__ = refuse
import data_platform.definitions
print(sorted({"dbt", "duckdb", "pandas", "snowflake.connector", "adbc_driver_manager"} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> dg.RepositoryDefinition:
    settings = Settings(_env_file=None, data_platform_home=tmp_path_factory.mktemp("home"))
    return build(settings).get_repository_def()


def test_loading_opens_no_connection_starts_no_process_and_imports_no_engine():
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED_WITHOUT_A_NETWORK],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "[]"), loaded.stderr


def test_loading_writes_nothing(tmp_path):
    home = tmp_path / "home"
    build(Settings(_env_file=None, data_platform_home=home)).get_repository_def()
    assert not home.exists()


def test_every_declared_table_is_an_asset_in_bronze_and_silver(repository):
    graph = repository.asset_graph
    for table in TABLES:
        bronze, silver = graph.get(bronze_key(table)), graph.get(silver_key(table))
        assert silver.parent_keys == {bronze.key}
        for node in (bronze, silver):
            assert node.owners == [table.owner]
            assert node.description
            assert node.metadata["dagster/column_schema"].columns
            assert "delta" in node.kinds
        assert bronze.metadata["quarantine"].endswith(f"/quarantine/{table.system}/{table.name}")
        assert silver.metadata["quarantine"].endswith(f"/quarantine/silver/{table.silver_name}")
        assert bronze.freshness_policy_or_from_metadata.fail_window.to_timedelta() == table.every.promise
        assert {key.path[0] for key in silver.child_keys} <= {"silver", "gold", "quality"}


def test_a_table_made_of_others_follows_them_and_promises_its_key(repository):
    graph = repository.asset_graph
    for table in JOINED:
        node = graph.get(dg.AssetKey(["silver", table.name]))
        assert node.parent_keys == {silver_key(source) for source in table.inputs}
        assert node.owners == [table.owner]
        shown = node.metadata["dagster/column_schema"].columns
        assert [column.name for column in shown] == [column.name for column in table.columns]
        checks = {key.name: graph.get(key).blocking for key in node.check_keys}
        declared = {rule.name: rule.severity is Severity.ERROR for rule in table.rules}
        assert checks == {"key_unique": True, "required_columns_filled": True} | declared


def test_tables_read_by_days_have_their_days_beside_them_in_one_run_a_backfill(repository):
    graph = repository.asset_graph
    days = graph.get_all_asset_keys() - repository.get_job("whole_chain").asset_layer.executable_asset_keys
    windows = [table for table in TABLES if isinstance(table.load, Window)]
    assert days == {dg.AssetKey([*table.asset_path, "days"]) for table in windows}
    assert all(graph.get(key).backfill_policy == dg.BackfillPolicy.single_run() for key in days)


def test_columns_are_shown_with_their_classification(repository):
    for table in TABLES:
        shown = repository.asset_graph.get(silver_key(table)).metadata["dagster/column_schema"].columns
        declared = {column.silver_name: column for column in table.columns if column.silver_name}
        assert [column.name for column in shown] == list(declared)
        for column in shown:
            said = declared[column.name].classification.replace(":", "_").replace(" ", "_")
            assert column.tags == {"classification": said}


def test_every_rule_is_a_check_and_errors_block_what_is_behind_them(repository):
    checks = repository.asset_graph.asset_check_keys
    for table in TABLES:
        named = {key.name for key in checks if key.asset_key == silver_key(table)}
        assert named == {name for name, _, _ in table.every_rule} | {
            "key_unique",
            "quality_score",
            RECONCILED,
        }
        blocking = {
            key.name
            for key in checks
            if key.asset_key == silver_key(table) and repository.asset_graph.get(key).blocking
        }
        errors = {name for name, rule, _ in table.every_rule if rule.severity is Severity.ERROR}
        assert blocking == errors | {"key_unique", RECONCILED}
        on_bronze = {key.name for key in checks if key.asset_key == bronze_key(table)}
        is_topic = isinstance(table.load, Stream) and table.load.messages is not None
        assert on_bronze == {"receipt_adds_up", "columns_as_declared", "fresh"} | (
            {"no_gap_in_offsets"} if is_topic else set()
        )


def test_each_interval_has_its_schedule_and_every_table_is_in_one(repository):
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert set(schedules) == {
        "nightly_maintenance",
        "daily_scores",
        *(f"{every.name.lower()}_loads" for every in Every),
    }
    for every in Every:
        schedule = schedules[f"{every.name.lower()}_loads"]
        loaded = repository.get_job(schedule.job_name).asset_layer.executable_asset_keys
        assert loaded == {bronze_key(table) for table in TABLES if table.every is every}
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedules["hourly_loads"].cron_schedule == "5 * * * *"


def test_the_whole_chain_is_one_job_with_every_asset_and_check(repository):
    chain = repository.get_job("whole_chain").asset_layer
    days = {key for key in repository.asset_graph.materializable_asset_keys if key.path[-1] == "days"}
    assert chain.executable_asset_keys == repository.asset_graph.materializable_asset_keys - days
    assert chain.asset_graph.asset_check_keys == repository.asset_graph.asset_check_keys


def test_sources_spark_and_the_warehouse_are_pools_of_their_own(repository):
    nodes = repository.asset_graph
    for table in TABLES:
        assert nodes.get(bronze_key(table)).pools == {table.system}
        assert nodes.get(silver_key(table)).pools == {"spark"}


def test_silver_and_gold_are_made_again_by_the_sensor_and_the_rest_by_schedules(repository):
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert sensors["changes_flow_to_gold"].default_status is dg.DefaultSensorStatus.RUNNING
    for key in repository.asset_graph.materializable_asset_keys:
        condition = repository.asset_graph.get(key).automation_condition
        assert (condition is None) == (key.path[0] in ("bronze", "quality")), key


class Flow:
    """A source, a table made of it and one made of that, with the cursor of the sensor that follows them."""

    def __init__(self) -> None:
        self.version, self.passes = "1", True
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None
        check = dg.AssetCheckSpec("promise", asset="source", blocking=True)

        @dg.asset(name="source", check_specs=[check])
        def source():
            yield dg.MaterializeResult(
                data_version=dg.DataVersion(self.version),
                check_results=[dg.AssetCheckResult(passed=self.passes, check_name="promise")],
            )

        @dg.asset(deps=["source"], automation_condition=on_change())
        def table():
            return dg.MaterializeResult(data_version=dg.DataVersion(self.version))

        @dg.asset(deps=["table"], automation_condition=on_change())
        def mart(): ...

        self.assets = [source, table, mart]
        self.defs = dg.Definitions(assets=self.assets)

    def load(self, version: str, passes: bool = True) -> None:
        """What a schedule does."""
        self.version, self.passes = version, passes
        self.make("source")

    def make(self, *names: str) -> None:
        dg.materialize(self.assets, selection=list(names), instance=self.instance, raise_on_error=False)

    def requested(self) -> set[str]:
        """What the sensor asks for at its next look, made at once."""
        looked = dg.evaluate_automation_conditions(defs=self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = looked.cursor
        asked = {
            key.to_user_string()
            for key in (dg.AssetKey("table"), dg.AssetKey("mart"))
            if looked.get_num_requested(key)
        }
        if asked:
            self.make(*asked)
        return asked


@pytest.fixture
def flow() -> Flow:
    flow = Flow()
    flow.requested()
    flow.load("1")
    assert flow.requested() == {"table", "mart"}
    assert flow.requested() == set()
    return flow


def test_a_change_flows_on_and_is_made_once(flow):
    flow.load("2")
    assert flow.requested() == {"table", "mart"}
    assert flow.requested() == set()


def test_a_quiet_load_stirs_nothing(flow):
    for _ in range(3):
        flow.load("1")
        assert flow.requested() == set()


def test_a_change_after_quiet_loads_is_not_missed(flow):
    flow.load("1")
    assert flow.requested() == set()
    flow.load("2")
    flow.load("2")
    assert flow.requested() == {"table", "mart"}


def test_a_failed_blocking_check_holds_the_change_back_until_it_passes(flow):
    flow.load("2", passes=False)
    assert flow.requested() == set()
    flow.load("2")
    assert flow.requested() == {"table", "mart"}
