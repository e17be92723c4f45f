"""Gold as Dagster sees it: each dbt model is an asset, each dbt test an asset check, built by one command."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AutomationCondition,
    Backoff,
    Failure,
    Output,
    RetryPolicy,
)

from data_platform.gold import readers
from data_platform.gold.absent import absent_sources, without
from data_platform.gold.counted import row_counts
from data_platform.gold.dbt import artifacts_in, prepared_in, run_dbt, seed_parse
from data_platform.gold.library import (
    DagsterDbtTranslator,
    DbtCoreCliEventMessage,
    DbtProject,
    dbt_assets,
    get_manifest_and_translator_from_dbt_assets,
    get_subset_selection_for_context,
)
from data_platform.gold.prepare import prepare
from data_platform.gold.warehouse import silver_key
from data_platform.lake.places import lake_of
from data_platform.settings import Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt_common.events.base_types import EventMsg

EVERY_MODEL = "fqn:*"

# A warehouse that is reached over a network may be gone for a moment.
RETRIES = RetryPolicy(max_retries=3, delay=5, backoff=Backoff.EXPONENTIAL)


class GoldTranslator(DagsterDbtTranslator):
    """Names dbt's models and sources as the platform names its assets."""

    def __init__(self, warehouse: str, automation_condition: AutomationCondition[Any] | None) -> None:
        super().__init__()
        self._warehouse = warehouse
        self._automation_condition = automation_condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return silver_key(self._warehouse, dbt_resource_props["name"])
        return AssetKey(["gold", dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The folder of its model: staging, core, crm."""
        return str(dbt_resource_props["fqn"][-2])

    def get_automation_condition(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002 - one condition for all
    ) -> AutomationCondition[Any] | None:
        return self._automation_condition


def gold_assets(
    settings: Settings, automation_condition: AutomationCondition[Any] | None = None
) -> AssetsDefinition:
    """Gold's assets and their checks; dbt's manifest is made first where set-up has not."""
    target = prepared_in(settings).relative_to(settings.dbt_project)
    project = DbtProject(settings.dbt_project, target_path=target)
    if not project.manifest_path.exists():
        prepare(settings)

    @dbt_assets(
        manifest=project.manifest_path,
        project=project,
        name="gold",
        select=EVERY_MODEL,
        dagster_dbt_translator=GoldTranslator(settings.warehouse, automation_condition),
        # One process at a time writes to a DuckDB file, and one build at a time to any warehouse.
        pool=settings.warehouse,
        retry_policy=RETRIES,
    )
    def gold(context: AssetExecutionContext) -> Iterator[Output[None] | AssetCheckResult]:
        yield from build(context, settings)

    return gold


def build(context: AssetExecutionContext, settings: Settings) -> Iterator[Any]:
    """Build the selected models and run their tests; the events follow when dbt is done."""
    manifest, translator, project = get_manifest_and_translator_from_dbt_assets([context.assets_def])
    selection, indirect_selection = get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select=EVERY_MODEL,
        exclude=None,
        selector=None,
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=None,
    )
    # Unit tests look at the models' logic, not at data: they belong to the project's own tests.
    absent = absent_sources(manifest, lake_of(settings))
    arguments = [
        "--no-write-json",
        "build",
        "--exclude-resource-type",
        "unit_test",
        *selection,
        *without(absent),
    ]
    if indirect_selection:
        arguments += ["--indirect-selection", indirect_selection]
    target = artifacts_in(settings)
    seed_parse(settings, target)
    if settings.warehouse == "duckdb":
        readers.begin(settings)

    results: list[DbtCoreCliEventMessage] = []
    ended = run_dbt(settings, arguments, target, lambda event: _keep_result(event, results))
    if ended.success and not results:
        raise Failure(
            "gold has nothing to be built from yet: what was selected depends on silver tables that are not "
            f"there. Materialize what it needs of these first: {', '.join(f'silver/{name}' for name in absent)}.",
            allow_retries=False,
        )
    if ended.success and settings.warehouse == "duckdb":
        readers.publish(settings)
    rows = row_counts(settings, _tables(results, manifest))
    for result in results:
        count = rows.get(result.raw_event["data"]["node_info"]["node_name"])
        for event in result.to_default_asset_events(manifest, translator, context, target, project):
            yield event if count is None else _with_row_count(event, count)
    _raise_failure(ended, target)


def _keep_result(event: "EventMsg", results: list[DbtCoreCliEventMessage]) -> None:
    from dbt_common.events.functions import msg_to_dict

    if event.info.name in ("LogModelResult", "LogTestResult"):
        results.append(DbtCoreCliEventMessage(msg_to_dict(event), event_history_metadata={}))


def _tables(results: list[DbtCoreCliEventMessage], manifest: Mapping[str, Any]) -> dict[str, str]:
    """The tables that were built, each with its schema."""
    built = (
        manifest["nodes"].get(result.raw_event["data"]["node_info"]["unique_id"], {}) for result in results
    )
    return {
        node["name"]: node["schema"]
        for node in built
        if node.get("resource_type") == "model" and node["config"]["materialized"] != "view"
    }


def _with_row_count(event: Any, count: int) -> Any:
    return event.with_metadata({**event.metadata, "dagster/row_count": count})


def _raise_failure(ended: "dbtRunnerResult", target: Path) -> None:
    """Say what failed. A test that fails would fail again, so only a model is tried once more."""
    if ended.success:
        return
    nodes = [result for result in getattr(ended.result, "results", []) if result.status in ("error", "fail")]
    if not nodes:
        raise Failure(f"dbt could not build gold: {ended.exception}. Its log is {target / 'dbt.log'}.")
    told = "; ".join(f"{node.node.name}: {node.message}" for node in nodes)
    raise Failure(
        f"dbt could not build all of gold, and what is behind it was left as it was. {told}. "
        f"Its log is {target / 'dbt.log'}.",
        allow_retries=any(node.status == "error" for node in nodes),
    )
