"""The history of scores in Dagster: an asset that measures every silver table, and a check per domain."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from data_platform.checks.history import Measured, domain_of, keep, latest, timeliness
from data_platform.checks.scores import quality_of, required, sides_of_joined
from data_platform.declarations import Dimension, SourceTable
from data_platform.described import RETRIES, InSilver, bronze_key, failing_plainly, silver_key
from data_platform.lake.places import lake_of
from data_platform.settings import Settings

SCORES = dg.AssetKey(["quality", "scores"])
# Below this a domain is worth a look.
GOOD_DOMAIN = 95.0


def scores_asset(
    tables: Sequence[SourceTable], joined: Sequence[InSilver], settings: Settings
) -> dg.AssetsDefinition:
    @dg.asset(
        key=SCORES,
        deps=[silver_key(table) for table in (*tables, *joined)],
        description="The quality of every silver table and every domain: a row per side of it and time of measuring.",
        group_name="quality",
        kinds={"delta"},
        owners=["team:data-platform"],
        retry_policy=RETRIES,
    )
    def scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with failing_plainly("the scores were not kept"):
            measured = [
                *_declared(tables, context.instance, settings),
                *_joined(joined, settings),
            ]
            rows = keep(measured, lake_of(settings))
            domains = latest(lake_of(settings), "domain")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": lake_of(settings).scores().rows,
                "measured": rows,
                **{domain: round(score, 2) for domain, score in sorted(domains.items())},
            }
        )

    return scores


def _declared(
    tables: Sequence[SourceTable], instance: dg.DagsterInstance, settings: Settings
) -> Iterator[Measured]:
    lake, now = lake_of(settings), datetime.now(UTC)
    for table in tables:
        quality = quality_of(table, lake)
        if quality is None:
            continue
        sides = dict(quality.dimensions)
        if loaded := instance.get_latest_materialization_event(bronze_key(table)):
            age = now - datetime.fromtimestamp(loaded.timestamp, UTC)
            on_time = timeliness(age, table.every.promise)
            # Where rules look at the rows' own times, those count as much as the load's.
            judged = sides.get(Dimension.TIMELINESS)
            sides[Dimension.TIMELINESS] = on_time if judged is None else (judged + on_time) / 2
        yield Measured(table.silver_name, domain_of(table.owner), quality.live, sides)


def _joined(joined: Sequence[InSilver], settings: Settings) -> Iterator[Measured]:
    for table in joined:
        held = lake_of(settings).silver(table.silver_name)
        if held.exists:
            sides = sides_of_joined(held, table.silver_key, required(table), table.rules)
            yield Measured(table.silver_name, domain_of(table.owner), held.rows, sides)


def domain_checks(owners: Sequence[str], settings: Settings) -> dg.AssetChecksDefinition:
    """Each domain's score, as it was measured last."""
    domains = sorted({domain_of(owner) for owner in owners})

    @dg.multi_asset_check(
        name="domain_checks",
        specs=[
            dg.AssetCheckSpec(
                _check_of(domain),
                asset=SCORES,
                description=f"The tables of {domain} score at least {GOOD_DOMAIN:g} of 100 on the mean.",
                metadata={"domain": domain},
            )
            for domain in domains
        ],
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        scores = {_check_of(domain): score for domain, score in latest(lake_of(settings), "domain").items()}
        for check in context.selected_asset_check_keys:
            score = scores.get(check.name)
            yield dg.AssetCheckResult(
                asset_key=SCORES,
                check_name=check.name,
                passed=score is None or score >= GOOD_DOMAIN,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"score": "nothing measured yet" if score is None else round(score, 2)},
            )

    return checks


def _check_of(domain: str) -> str:
    return f"{domain.replace('-', '_')}_score"


def scores_schedule() -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="daily_scores",
        cron_schedule="45 5 * * *",
        job=dg.define_asset_job(
            "scores_job",
            selection=dg.AssetSelection.assets(SCORES),
            description="Measure every table, and keep what it came to.",
        ),
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
