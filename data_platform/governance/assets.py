"""The Glue catalogue in Dagster: an asset that brings it up to the lake, and a check per table that it is."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from data_platform.described import RETRIES, failing_plainly
from data_platform.governance.catalogued import Catalogued
from data_platform.governance.glue import GlueCatalogue
from data_platform.settings import Settings

GLUE_CATALOGUE = dg.AssetKey(["catalogue", "glue"])
CHECK = "agrees_with_glue"
# The lake's tables, each to be opened anew.
Tables = Callable[[], Sequence[Catalogued]]


def glue_asset(tables: Tables, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=GLUE_CATALOGUE,
        deps=_assets(tables()),
        description="Every table of the lake in the Glue Data Catalog, so that Athena and Spark can look it up.",
        group_name="catalogue",
        kinds={"glue"},
        owners=["team:data-platform"],
        metadata={"databases": f"{settings.glue_database}_bronze, _silver, _quarantine, _gold, _quality"},
        retry_policy=RETRIES,
        pool="glue",
    )
    def glue(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with failing_plainly("the lake's tables were not registered in Glue"):
            registered = GlueCatalogue(settings).register(tables())
        changed = [each for each in registered if each.differences]
        for each in changed:
            context.log.info("%s: %s", each.table.held.name, "; ".join(each.differences))
        return dg.MaterializeResult(
            metadata={
                "tables": len(registered),
                "changed": len(changed),
                "what": dg.MetadataValue.md(
                    "\n".join(f"- {each.table.held.name}: {'; '.join(each.differences)}" for each in changed)
                    or "nothing"
                ),
            }
        )

    return glue


def glue_checks(tables: Tables, settings: Settings) -> dg.AssetChecksDefinition:
    """Where a job makes the catalogue too, it is checked after that."""

    @dg.multi_asset_check(
        name="glue_checks",
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=asset,
                additional_deps=[GLUE_CATALOGUE],
                description="Glue has the table and its quarantine where they lie, with the columns that they have.",
            )
            for asset in _assets(tables())
        ],
        can_subset=True,
        pool="glue",
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with failing_plainly("the lake was not compared with Glue"):
            catalogue = GlueCatalogue(settings)
            by_asset = _by_asset(tables())
            for check in context.selected_asset_check_keys:
                told = [
                    f"{catalogue.database(table)}.{table.name}: {difference}"
                    for table in by_asset[check.asset_key]
                    for difference in catalogue.differences(table)
                ]
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=CHECK,
                    passed=not told,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={
                        "differences": len(told),
                        "what": dg.MetadataValue.md("\n".join(f"- {each}" for each in told) or "none"),
                    },
                )

    return checks


def _by_asset(tables: Sequence[Catalogued]) -> dict[dg.AssetKey, list[Catalogued]]:
    found: dict[dg.AssetKey, list[Catalogued]] = {}
    for table in tables:
        found.setdefault(dg.AssetKey(list(table.asset)), []).append(table)
    return found


def _assets(tables: Sequence[Catalogued]) -> list[dg.AssetKey]:
    return list(_by_asset(tables))
