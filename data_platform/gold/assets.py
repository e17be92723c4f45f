"""Gold as Dagster sees it: each dbt model is an asset, each dbt test an asset check, built by one command."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AutomationCondition,
    Backoff,
    Failure,
    InitResourceContext,
    Output,
    ResourceDefinition,
    RetryPolicy,
    with_resources,
)

from data_platform.gold import readers
from data_platform.gold.absent import absent_sources, without
from data_platform.gold.builder import Builder, BuilderLost, Built
from data_platform.gold.counted import row_counts
from data_platform.gold.dbt import artifacts_in, prepared_in
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
        required_resource_keys={"dbt"},
    )
    def gold(context: AssetExecutionContext) -> Iterator[Output[None] | AssetCheckResult]:
        yield from build(context, settings, context.resources.dbt)

    def begun_with_the_run(_: InitResourceContext) -> Iterator[Builder]:
        with Builder(settings) as builder:
            yield builder

    (ready,) = with_resources([gold], {"dbt": ResourceDefinition(begun_with_the_run)})
    return ready


def build(context: AssetExecutionContext, settings: Settings, builder: Builder) -> Iterator[Any]:
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
    if settings.warehouse == "duckdb":
        readers.begin(settings)
    try:
        built = builder.build(arguments)
    except BuilderLost as reason:
        raise Failure(f"gold was not built: {reason}.") from None
    results = [DbtCoreCliEventMessage(dict(each), event_history_metadata={}) for each in built.results]
    if built.success and not results:
        raise Failure(
            "gold has nothing to be built from yet: what was selected depends on silver tables that are not "
            f"there. Materialize what it needs of these first: {', '.join(f'silver/{name}' for name in absent)}.",
            allow_retries=False,
        )
    if built.success and settings.warehouse == "duckdb":
        readers.publish(settings)
    target = artifacts_in(settings)
    rows = row_counts(settings, _tables(results, manifest))
    for result in results:
        count = rows.get(result.raw_event["data"]["node_info"]["node_name"])
        for event in result.to_default_asset_events(manifest, translator, context, target, project):
            yield event if count is None else _with_row_count(event, count)
    _raise_failure(built, target)


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


def _raise_failure(built: Built, target: Path) -> None:
    """Say what failed. A test that fails would fail again, so only a model is tried once more."""
    if built.success:
        return
    if not built.failed:
        raise Failure(f"dbt could not build gold: {built.trouble}.")
    told = "; ".join(f"{each.name}: {each.message}" for each in built.failed)
    raise Failure(
        f"dbt could not build all of gold, and what is behind it was left as it was. {told}. "
        f"What it ran is below {target / 'run'}.",
        allow_retries=any(each.is_error for each in built.failed),
    )
