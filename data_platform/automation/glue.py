"""When the Glue catalogue is brought up to the lake: after a run for the tables that it wrote, and daily for all."""

import dagster as dg

from data_platform.described import failing_plainly
from data_platform.governance.assets import GLUE_CATALOGUE, Tables
from data_platform.governance.glue import GlueCatalogue
from data_platform.settings import Settings

WRITTEN_TABLES = "written_tables_to_glue"


def glue_schedule(checks: dg.AssetChecksDefinition) -> dg.ScheduleDefinition:
    """After the night's maintenance and loads; then each table is checked."""
    return dg.ScheduleDefinition(
        name="daily_glue_catalogue",
        cron_schedule="45 4 * * *",
        job=dg.define_asset_job(
            "glue_catalogue",
            selection=dg.AssetSelection.assets(GLUE_CATALOGUE) | dg.AssetSelection.checks(*checks.check_keys),
            description="Bring Glue up to the lake, and check that they agree.",
        ),
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def glue_sensor(tables: Tables, settings: Settings) -> dg.SensorDefinition:
    """A tick fails where Glue can't be reached; the daily job makes up for it."""

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name=WRITTEN_TABLES,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Registers in Glue what a run wrote, where it is new there or its columns changed.",
    )
    def written_tables(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
        written = _written(context)
        touched = [table for table in tables() if table.asset in written]
        if not touched:
            return dg.SkipReason("the run wrote no table of the lake")
        with failing_plainly("what the run wrote was not registered in Glue"):
            registered = GlueCatalogue(settings).register(touched)
        changed = [each.table.held.name for each in registered if each.differences]
        if changed:
            context.log.info("registered in Glue: %s", ", ".join(changed))
        return None if changed else dg.SkipReason("Glue says already what the run wrote")

    return written_tables


def _written(context: dg.RunStatusSensorContext) -> set[tuple[str, ...]]:
    """The assets that the run made."""
    told = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    return {tuple(record.asset_key.path) for record in told.records if record.asset_key}
