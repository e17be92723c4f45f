"""Jobs and schedules: each interval's tables, the whole chain, and the sensor by which changes flow."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from data_platform.declarations import Every, SourceTable
from data_platform.described import ON_REQUEST, bronze_key

WHOLE_CHAIN = "whole_chain"

# Past the hour, so that a vendor's own hourly jobs are done. What is loaded on change is swept, for what no sensor saw.
_CRON = {Every.HOURLY: "5 * * * *", Every.DAILY: "15 3 * * *", Every.ON_CHANGE: "35 * * * *"}


def whole_chain() -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        WHOLE_CHAIN,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups(ON_REQUEST),
        description="Every table from its source to the marts, with all checks.",
    )


def interval_schedules(tables: Sequence[SourceTable]) -> list[dg.ScheduleDefinition]:
    """One schedule per declared interval; it loads bronze, and the changes flow on by themselves."""
    return [
        dg.ScheduleDefinition(
            name=f"{every.name.lower()}_loads",
            cron_schedule=_CRON[every],
            job=dg.define_asset_job(
                f"{every.name.lower()}_loads_job",
                selection=dg.AssetSelection.assets(*(bronze_key(table) for table in group)),
                description=f"Load the tables that are declared {every.value}.",
            ),
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for every in _CRON
        if (group := [table for table in tables if table.every is every])
    ]


def change_sensor() -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        "changes_flow_to_gold",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes what lies downstream of a changed table.",
    )
