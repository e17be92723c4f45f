"""Days again: for each table that is read by days, an asset whose daily partitions can be asked for at any time.

It lands in the same bronze table as the usual load and leaves its position alone, so a backfill of 90 days is one
run and moves nothing but what had changed. It is an asset beside the table's own, which has no partitions: one that
had would count as missing until every day of its history was run, and hold up all that follows it.
"""

import warnings
from datetime import date, timedelta

import dagster as dg

from data_platform.bronze.assets import metadata_of
from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load
from data_platform.declarations import SourceTable
from data_platform.described import ON_REQUEST, RETRIES, failing_plainly, tags_of
from data_platform.lake.places import lake_of
from data_platform.settings import Settings

FIRST_DAY = date(2020, 1, 1)


def days_asset(table: SourceTable, settings: Settings) -> dg.AssetsDefinition:
    """The days of a table that is declared with a Window."""

    with warnings.catch_warnings():
        # Of backfill policies, once per table; the lock file pins what they do.
        warnings.simplefilter("ignore", dg.BetaWarning)

        @dg.asset(
            key=dg.AssetKey([*table.asset_path, "days"]),
            description=f"Days of {table.silver_name} that are read again on request; what changed lands in its bronze "
            "table, and flows on with the next usual load.",
            group_name=ON_REQUEST,
            kinds={table.system, "delta"},
            owners=[table.owner],
            tags=tags_of(table),
            partitions_def=dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat()),
            backfill_policy=dg.BackfillPolicy.single_run(),
            retry_policy=RETRIES,
            # The table has one writer.
            pool=table.system,
        )
        def days(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
            asked = context.partition_time_window
            first, last = asked.start.date(), asked.end.date() - timedelta(days=1)
            with failing_plainly(f"bronze/{table.system}/{table.name} was not loaded from {first} to {last}"):
                connector = connector_for(table, settings)
                loaded = load(table, connector, lake_of(settings), settings.commit_rows, (first, last))
            context.log.info("%s, %s to %s: %s", table.silver_name, first, last, loaded.receipt.says)
            return dg.MaterializeResult(metadata=metadata_of(loaded))

    return days
