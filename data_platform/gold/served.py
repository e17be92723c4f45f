"""Tables that are served outside of the platform: which there are, how one is loaded, and the assets of each target.

A load takes from silver what changed since the position that the target itself holds, and the target takes the rows
and the new position in one transaction. How a target does that is in `serving/`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from data_platform.declarations import DATE, DECIMAL, INTEGER, STRING, Column
from data_platform.described import RETRIES, column_schema, failing_plainly
from data_platform.gold.serving.changes import reached, rows, still_stands
from data_platform.gold.serving.declared import Served, ServedColumn
from data_platform.gold.serving.target import (
    Counts,
    PositionMoved,
    Target,
    TargetError,
    TargetUnreachable,
    Work,
)
from data_platform.lake.again import begun_again
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake
from data_platform.settings import Settings

_OF_ADS = (
    ServedColumn("ad_id", STRING),
    ServedColumn("ad_name", STRING),
    ServedColumn("clicks", INTEGER),
    ServedColumn("impressions", INTEGER),
    ServedColumn("spend", DECIMAL(18, 2), sensitive=True, description="In the account's currency."),
    ServedColumn("date", DATE, reads="day", description="In the account's time zone."),
)
FACEBOOK_ADS = Served(
    name="facebook_ads",
    source="ad_performance",
    description="What each ad on Facebook showed, brought and cost by day.",
    owner="team:marketing",
    key=("ad_id", "date"),
    columns=_OF_ADS,
    where={"platform": "facebook"},
)
GOOGLE_ADS = Served(
    name="google_ads",
    source="ad_performance",
    description="What each ad on Google showed, brought and cost by day.",
    owner="team:marketing",
    key=("ad_id", "date"),
    columns=_OF_ADS,
    where={"platform": "google"},
)
SERVED = (FACEBOOK_ADS, GOOGLE_ADS)


@dataclass(frozen=True)
class Loaded:
    """What a step did: the rows it took from silver, and the batch that the target is at."""

    batch: int
    counts: Counts
    read: int = 0
    took_all: bool = False

    @property
    def adds_up(self) -> bool:
        """What was read reached the target, and became of it what the target says."""
        return self.read == self.counts.staged and self.counts.adds_up

    @property
    def says(self) -> str:
        counts = self.counts
        return (
            f"{self.read:,} rows read; {counts.added:,} added, {counts.changed:,} changed, {counts.deleted:,} deleted; "
            f"{counts.rows:,} rows by silver's batch {self.batch}"
        )


def serve(table: Served, target: Target, lake: Lake) -> Loaded:
    """Bring the target up to silver. Killed anywhere, it goes on from the target's own position when run again."""
    return begun_again(lambda: _serve(table, target, lake), (PositionMoved,), table.name)


def _serve(table: Served, target: Target, lake: Lake) -> Loaded:
    silver = lake.silver(table.source)
    reaches = reached(silver)
    with target.session() as session:
        held = session.held(table)
        before = held.reached
        takes_all = before is None or not held.is_whole or not still_stands(silver, before)
        if not takes_all and before is not None and before.batch == reaches.batch:
            return Loaded(reaches.batch, Counts(held.rows, held.rows))
        since = None if takes_all or before is None else before.batch
        taken = _Counted(rows(silver, table, since))
        counts = session.load(Work(table, held, reaches, takes_all, taken))
        return Loaded(reaches.batch, counts, taken.rows, takes_all)


class _Counted:
    """Batches, and how many rows were in those that were taken."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        batch = next(self._batches)
        self.rows += batch.num_rows
        return batch


def targets(settings: Settings) -> list[str]:
    """The targets that have an address; the others have no assets."""
    addresses = {"postgres": settings.served_postgres_dsn, "redshift": settings.redshift_host}
    return [name for name, address in addresses.items() if address]


def target_for(name: str, settings: Settings) -> Target:
    """The target of that name, made when a step runs and not before."""
    match name:
        case "postgres":
            from data_platform.gold.serving.postgres import Postgres

            return Postgres(settings)
        case "redshift":
            from data_platform.gold.serving.redshift import Redshift

            return Redshift(settings)
        case "snowflake":
            from data_platform.gold.serving.snowflake import Snowflake

            return Snowflake(settings)
        case unknown:
            raise LookupError(f"no target is called {unknown!r}; add it to target_for")


def served_assets(
    settings: Settings, automation_condition: dg.AutomationCondition[Any] | None = None
) -> list[dg.AssetsDefinition]:
    return [
        loading_asset(table, target, ("served", target, table.name), "served", settings, automation_condition)
        for target in targets(settings)
        for table in SERVED
    ]


def loading_asset(
    table: Served,
    target: str,
    key: Sequence[str],
    group: str,
    settings: Settings,
    automation_condition: dg.AutomationCondition[Any] | None,
) -> dg.AssetsDefinition:
    """The table in a target, as an asset that loads it and says whether what it loaded adds up."""
    silver = dg.AssetKey(["silver", table.source])

    @dg.asset(
        key=key,
        deps=[silver],
        description=f"{table.description} One row per {', '.join(table.key)}, loaded from silver.",
        group_name=group,
        kinds={target},
        owners=[table.owner],
        metadata={"dagster/column_schema": _column_schema(table), "dagster/table_name": table.place},
        automation_condition=automation_condition,
        retry_policy=RETRIES,
        pool=f"served_{target}",
        check_specs=[
            dg.AssetCheckSpec(
                "receipt_adds_up",
                asset=dg.AssetKey(list(key)),
                description="The rows that were read from silver reached the target, and each became what it says.",
                blocking=True,
            )
        ],
    )
    def served(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        doing = f"{'/'.join(key)} was not loaded"
        with failing_plainly(doing):
            try:
                loaded = serve(table, target_for(target, settings), lake_of(settings))
            except TargetError as error:
                may_pass = isinstance(error, TargetUnreachable | PositionMoved)
                raise dg.Failure(f"{doing}: {error}", allow_retries=may_pass) from None
        context.log.info("%s: %s", table.place, loaded.says)
        return _result(table, loaded, silver)

    return served


def _result(table: Served, loaded: Loaded, silver: dg.AssetKey) -> dg.MaterializeResult:  # type: ignore[type-arg]
    counts = loaded.counts
    receipt = {
        "read": loaded.read,
        "staged": counts.staged,
        "added": counts.added,
        "changed": counts.changed,
        "gone": counts.gone,
        "deleted": counts.deleted,
    }
    lineage = {
        column.name: [dg.TableColumnDep(asset_key=silver, column_name=column.silver_name)]
        for column in table.columns
    }
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(loaded.batch)),
        metadata={
            "dagster/row_count": counts.rows,
            "dagster/column_lineage": dg.TableColumnLineage(lineage),
            **receipt,
            "took_all": loaded.took_all,
            "batch": loaded.batch,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="receipt_adds_up",
                passed=loaded.adds_up,
                metadata={**receipt, "before": counts.before, "rows": counts.rows},
            )
        ],
    )


def _column_schema(table: Served) -> dg.TableSchema:
    return column_schema(
        {
            column.name: Column(
                column.name,
                column.type,
                required=column.name in table.key,
                sensitive=column.sensitive,
                description=column.description,
            )
            for column in table.columns
        }
    )
