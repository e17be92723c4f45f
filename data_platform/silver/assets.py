"""Silver assets: one conformed table per declared table, and those that are made of several."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from data_platform.declarations import Column, SourceTable
from data_platform.described import (
    RETRIES,
    bronze_key,
    column_lineage,
    column_schema,
    failing_plainly,
    silver_key,
    tags_of,
)
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.joined import Joined
from data_platform.silver.joined_step import join
from data_platform.silver.step import Refined, refine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Condition = dg.AutomationCondition[Any]
# What brings a table up to its inputs, given what starts Spark where it is needed, and the lake.
Step = Callable[["Callable[[], SparkSession]", Lake], Refined]


def silver_asset(
    table: SourceTable, settings: Settings, automation_condition: Condition
) -> dg.AssetsDefinition:
    return _asset(
        table.silver_name,
        lambda spark, lake: refine(spark, table, lake),
        settings,
        automation_condition,
        deps=[bronze_key(table)],
        description=f"{table.description} One row per {', '.join(table.silver_key)}: its newest version, cleaned.",
        owner=table.owner,
        tags=tags_of(table),
        columns={column.silver_name: column for column in table.columns if column.silver_name},
        lineage=column_lineage(table),
        quarantine=f"{settings.lake}/quarantine/silver/{table.silver_name}",
    )


def joined_asset(table: Joined, settings: Settings, automation_condition: Condition) -> dg.AssetsDefinition:
    return _asset(
        table.name,
        lambda spark, lake: join(spark, table, lake),
        settings,
        automation_condition,
        deps=[silver_key(source) for source in table.inputs],
        description=f"{table.description} One row per {', '.join(table.key)}.",
        owner=table.owner,
        tags={"restricted": str(table.restricted).lower()},
        columns={column.name: column for column in table.columns},
    )


def _asset(
    name: str,
    step: Step,
    settings: Settings,
    automation_condition: Condition,
    *,
    deps: Sequence[dg.AssetKey],
    description: str,
    owner: str,
    tags: Mapping[str, str],
    columns: dict[str, Column],
    lineage: dg.TableColumnLineage | None = None,
    quarantine: str | None = None,
) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["silver", name]),
        deps=deps,
        description=description,
        group_name="silver",
        kinds={"spark", "delta"},
        owners=[owner],
        tags=tags,
        metadata={
            "dagster/column_schema": column_schema(columns),
            "dagster/table_name": f"silver.{name}",
            **({"quarantine": quarantine} if quarantine else {}),
        },
        automation_condition=automation_condition,
        retry_policy=RETRIES,
        pool="spark",
    )
    def silver(context: dg.AssetExecutionContext) -> Any:
        with failing_plainly(f"silver/{name} was not refined"):
            if settings.emr_application_id:
                from data_platform.silver.emr import run_on_emr

                return run_on_emr(context, settings, name)
            from data_platform.lake.spark import session

            refined = step(lambda: session(settings), lake_of(settings))
        context.log.info("%s: %s", name, refined.says)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(refined.batch)),
            metadata={**({"dagster/column_lineage": lineage} if lineage else {}), **refined.metadata},
        )

    return silver
