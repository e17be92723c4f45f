"""The nightly job that keeps the lake's tables fast and its log short."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from data_platform.declarations import SourceTable
from data_platform.described import failing_plainly
from data_platform.lake.maintenance import Tended, sweep, tend, tend_with_spark
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
from data_platform.settings import Settings
from data_platform.sources.catalogue import TABLES

MAINTENANCE = "lake_maintenance"


def maintenance_job(
    settings: Settings, joined: Mapping[str, tuple[str, ...]], gold: Sequence[str]
) -> dg.JobDefinition:
    """Of the declared tables, of silver's others by name and key, of gold's by name, and of the scores."""
    steps = [
        *(_step(table, settings) for table in TABLES),
        *(_joined_step(name, key, settings) for name, key in joined.items()),
        # Of gold's tables each file is a stretch of rows that is told by its name.
        *([_lake_step("gold", gold, sweep, settings)] if gold else []),
        _lake_step("quality", ["scores"], tend, settings),
    ]

    @dg.job(
        name=MAINTENANCE,
        description="Compact, vacuum and checkpoint every table; positions stay as they are.",
    )
    def maintenance() -> None:
        for step in steps:
            step()

    return maintenance


def maintenance_schedule() -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="nightly_maintenance",
        cron_schedule="30 1 * * *",
        job_name=MAINTENANCE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _step(table: SourceTable, settings: Settings) -> dg.OpDefinition:
    @dg.op(name=f"tend_{table.silver_name}", pool="spark", out=dg.Out(dg.Nothing))
    def tend_table(context: dg.OpExecutionContext) -> None:
        from data_platform.lake.spark import session

        lake = lake_of(settings)
        with failing_plainly(f"the tables of {table.silver_name} were not tended"):
            _tell(context, lake.bronze(table).name, tend(lake.bronze(table), table.key))
            _tell(context, lake.quarantine(table).name, tend(lake.quarantine(table)))
            for held in (lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)):
                if held.exists:
                    _tell(context, held.name, tend_with_spark(session(settings), held, table.silver_order))

    return tend_table


def _joined_step(name: str, key: tuple[str, ...], settings: Settings) -> dg.OpDefinition:
    @dg.op(name=f"tend_{name}", pool="spark", out=dg.Out(dg.Nothing))
    def tend_table(context: dg.OpExecutionContext) -> None:
        from data_platform.lake.spark import session

        held = lake_of(settings).silver(name)
        with failing_plainly(f"silver/{name} was not tended"):
            if held.exists:
                _tell(context, held.name, tend_with_spark(session(settings), held, key))

    return tend_table


def _lake_step(
    layer: str, names: Sequence[str], care: Callable[[LakeTable], Tended], settings: Settings
) -> dg.OpDefinition:
    """Of tables that are written without Spark."""

    @dg.op(name=f"tend_{layer}", pool=f"lake_{layer}", out=dg.Out(dg.Nothing))
    def tend_tables(context: dg.OpExecutionContext) -> None:
        lake = lake_of(settings)
        with failing_plainly(f"the tables of {layer} in the lake were not tended"):
            for name in names:
                table = lake.at(layer, name)
                _tell(context, table.name, care(table))

    return tend_tables


def _tell(context: dg.OpExecutionContext, name: str, tended: Tended) -> None:
    context.log.info(
        "%s: %d files became %d, %d deleted", name, tended.files_before, tended.files_after, tended.deleted
    )
