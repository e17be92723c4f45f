"""The sensor that follows DynamoDB's streams: one run, from bronze to what silver makes, for the tables that changed.

A change has to be in silver within a minute, so the run goes on to silver by itself. What the streams hold is asked
from the position in bronze's newest commit; the hourly sweep finds what no tick has seen.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from data_platform.automation.asked import Due, one_run, version_of
from data_platform.connectors.dynamodb.waiting import waiting
from data_platform.declarations import SourceTable
from data_platform.described import InSilver, bronze_key, silver_key
from data_platform.lake.places import lake_of
from data_platform.settings import Settings

DYNAMODB_SENSOR = "dynamodb_sensor"
SECONDS_BETWEEN = 5


def dynamodb_sensor(
    tables: Sequence[SourceTable], made_of: Mapping[str, Sequence[InSilver]], settings: Settings
) -> dg.SensorDefinition:
    """`made_of` are silver's joined tables, by the tables that each is made of."""
    makes = {
        table: (
            bronze_key(table),
            silver_key(table),
            *(dg.AssetKey(["silver", name]) for name, inputs in made_of.items() if table in inputs),
        )
        for table in tables
        if table.system == "dynamodb"
    }

    @dg.sensor(
        name=DYNAMODB_SENSOR,
        target=dg.AssetSelection.assets(*{key for keys in makes.values() for key in keys}),
        minimum_interval_seconds=SECONDS_BETWEEN,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads a table of DynamoDB when its stream tells of a change, and brings silver up to it.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if not _is_reachable(settings):
            return dg.SkipReason(
                "neither AWS_REGION nor AWS_ENDPOINT_URL_DYNAMODB is set, and no sandbox is up"
            )
        lake = lake_of(settings)
        held = {table: lake.bronze(table) for table in makes}
        why = waiting(settings, {table: each.position for table, each in held.items()})
        due = {
            table.silver_name: Due(why[table], version_of(each), makes[table]) for table, each in held.items()
        }
        return one_run(context, due)

    return sensor


def _is_reachable(settings: Settings) -> bool:
    """To look for credentials where there are none takes the SDK seconds."""
    return bool(settings.aws_region or settings.aws_endpoint_url or settings.aws_endpoint_url_dynamodb)
