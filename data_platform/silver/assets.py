"""Silver assets: one conformed table per declared table."""

from typing import Any

import dagster as dg

from data_platform.declarations import SourceTable
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
from data_platform.settings import Settings


def silver_asset(
    table: SourceTable, settings: Settings, automation_condition: dg.AutomationCondition[Any]
) -> dg.AssetsDefinition:
    columns = {column.silver_name: column for column in table.columns if column.silver_name}

    @dg.asset(
        key=silver_key(table),
        deps=[bronze_key(table)],
        description=f"{table.description} One row per {', '.join(table.silver_key)}: its newest version, cleaned.",
        group_name="silver",
        kinds={"spark", "delta"},
        owners=[table.owner],
        tags=tags_of(table),
        metadata={
            "dagster/column_schema": column_schema(columns),
            "dagster/table_name": f"silver.{table.silver_name}",
            "quarantine": f"{settings.lake}/quarantine/silver/{table.silver_name}",
        },
        automation_condition=automation_condition,
        retry_policy=RETRIES,
        pool="spark",
    )
    def silver(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from data_platform.lake.spark import session
        from data_platform.silver.step import refine

        with failing_plainly(f"silver/{table.silver_name} was not refined"):
            refined = refine(lambda: session(settings), table, lake_of(settings))
        context.log.info("%s: %s", table.silver_name, refined.says)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(refined.batch)),
            metadata={
                "dagster/row_count": refined.rows,
                "dagster/column_lineage": column_lineage(table),
                "read": refined.read,
                "keys": refined.keys,
                "merged": refined.merged,
                "quarantined": refined.quarantined,
                "deleted": refined.deleted,
                "batch": refined.batch,
            },
        )

    return silver
