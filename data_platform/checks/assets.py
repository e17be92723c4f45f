"""Asset checks: each declared rule one check, the key, the table's score, and freshness."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from data_platform.checks.reconciled import Reconciled, reconciled
from data_platform.checks.scores import Quality, breaking, quality_of, repeated_keys, required, unfilled
from data_platform.declarations import Column, Rule, Severity, SourceTable
from data_platform.described import InSilver, bronze_key, silver_key
from data_platform.lake.places import lake_of
from data_platform.settings import Settings

RECONCILED = "reconciled_with_bronze"
# Below this a table is worth a look even where each rule is within what it allows.
GOOD_SCORE = 95.0


def silver_checks(table: SourceTable, settings: Settings) -> dg.AssetChecksDefinition:
    """Counts of verdicts, in one pass over two narrow columns; gold waits for those that block."""
    key = silver_key(table)

    @dg.multi_asset_check(name=f"{table.silver_name}_checks", specs=_specs(table, key), can_subset=True)
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        quality = quality_of(table, lake_of(settings))
        if quality is None:
            raise dg.Failure(
                f"silver/{table.silver_name} does not exist yet; materialize it first", allow_retries=False
            )
        context.op_execution_context.log_event(dg.AssetObservation(key, metadata=_score_metadata(quality)))
        wanted = {check.name for check in context.selected_asset_check_keys}
        yield from (result for result in _results(quality, key) if result.check_name in wanted)
        if RECONCILED in wanted:
            yield _reconciled(table, settings)

    return checks


def joined_checks(table: InSilver, settings: Settings) -> dg.AssetChecksDefinition:
    """What a table that is made of others promises: one row per key, a value where its columns say so, its rules."""
    asset = silver_key(table)

    @dg.multi_asset_check(
        name=f"{table.silver_name}_checks", specs=_specs_of_joined(table, asset), can_subset=True
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        held = lake_of(settings).silver(table.silver_name)
        if not held.exists:
            raise dg.Failure(
                f"silver/{table.silver_name} does not exist yet; materialize it first", allow_retries=False
            )
        counts = {
            "key_unique": repeated_keys(held, table.silver_key),
            "required_columns_filled": unfilled(held, required(table)),
            **{rule.name: breaking(held, rule) for rule in table.rules},
        }
        allowed = {rule.name: rule.allowed * held.rows for rule in table.rules}
        severities = {rule.name: dg.AssetCheckSeverity[rule.severity.name] for rule in table.rules}
        for check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=check.name,
                passed=counts[check.name] <= allowed.get(check.name, 0),
                severity=severities.get(check.name, dg.AssetCheckSeverity.ERROR),
                metadata={"rows_that_break_it": counts[check.name], "rows": held.rows},
            )

    return checks


def _specs_of_joined(table: InSilver, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            "key_unique",
            asset=asset,
            blocking=True,
            description=f"No two rows share {', '.join(table.silver_key)}.",
        ),
        dg.AssetCheckSpec(
            "required_columns_filled",
            asset=asset,
            blocking=True,
            description=f"Each live row says {', '.join(required(table))}.",
        ),
        *(
            dg.AssetCheckSpec(
                rule.name,
                asset=asset,
                blocking=rule.severity is Severity.ERROR,
                description=f"Each live row {rule.says}.",
                metadata={"dimension": rule.dimension.value, "severity": rule.severity.value},
            )
            for rule in table.rules
        ),
    ]


def freshness_checks(tables: Sequence[SourceTable]) -> dg.AssetChecksDefinition:
    """Each table's last load is no older than its interval and two hours."""
    by_key = {bronze_key(table): table for table in tables}

    @dg.multi_asset_check(
        name="freshness_checks",
        specs=[
            dg.AssetCheckSpec(
                "fresh", asset=key, description=f"Loaded within the last {table.every.promise}."
            )
            for key, table in by_key.items()
        ],
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for check in context.selected_asset_check_keys:
            promise = by_key[check.asset_key].every.promise
            event = context.instance.get_latest_materialization_event(check.asset_key)
            age = datetime.now(UTC) - datetime.fromtimestamp(event.timestamp, UTC) if event else None
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=age is not None and age <= promise,
                metadata={
                    "hours_since_load": round(age / timedelta(hours=1), 2) if age else "never loaded",
                    "promised_hours": promise / timedelta(hours=1),
                },
            )

    return checks


def _specs(table: SourceTable, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        *(
            dg.AssetCheckSpec(
                name,
                asset=key,
                blocking=rule.severity is Severity.ERROR,
                description=_says(rule, column),
                metadata={
                    "dimension": rule.dimension.value,
                    "severity": rule.severity.value,
                    "allowed": rule.allowed,
                },
            )
            for name, rule, column in table.every_rule
        ),
        dg.AssetCheckSpec(
            "key_unique",
            asset=key,
            blocking=True,
            description=f"No two rows share {', '.join(table.silver_key)}.",
        ),
        dg.AssetCheckSpec(
            RECONCILED,
            asset=key,
            blocking=True,
            description="Every key that the last step took from bronze is in silver or quarantine, with its money.",
        ),
        dg.AssetCheckSpec(
            "quality_score", asset=key, description=f"The table's score is at least {GOOD_SCORE:g} of 100."
        ),
    ]


def _says(rule: Rule, column: Column | None) -> str:
    subject = column.silver_name if column else "in each row,"
    kept = (
        "Rows that break it wait in quarantine"
        if rule.severity is Severity.ERROR
        else "Rows that break it are marked"
    )
    return f"{subject} {rule.says}. {kept}; up to {rule.allowed:.0%} of the table may."


def _results(quality: Quality, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    for name, rule, _ in quality.table.every_rule:
        share = quality.share(name)
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=share <= rule.allowed,
            severity=dg.AssetCheckSeverity[rule.severity.name],
            metadata={
                "broken": quality.broken[name],
                "judged": quality.judged,
                "share": round(share, 6),
                "allowed": rule.allowed,
                "dimension": rule.dimension.value,
            },
        )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="key_unique",
        passed=quality.repeated_keys == 0,
        metadata={"repeated_keys": quality.repeated_keys, "rows": quality.live},
    )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="quality_score",
        passed=quality.score >= GOOD_SCORE,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_score_metadata(quality),
    )


def _reconciled(table: SourceTable, settings: Settings) -> dg.AssetCheckResult:
    """Passes where bronze was moved away: then there is nothing to compare with."""
    found = reconciled(table, lake_of(settings)) or Reconciled(0, 0, {})
    return dg.AssetCheckResult(
        asset_key=silver_key(table),
        check_name=RECONCILED,
        passed=found.agrees,
        metadata={
            "keys": found.keys,
            "missing": found.missing,
            **{f"{name}_of_bronze": float(given) for name, (given, _) in found.sums.items()},
            **{f"{name}_of_silver": float(held) for name, (_, held) in found.sums.items()},
        },
    )


def _score_metadata(quality: Quality) -> dict[str, float]:
    """Numbers, so that Dagster plots them over time."""
    return {
        "quality_score": quality.score,
        **{dimension.value: round(score, 2) for dimension, score in quality.dimensions.items()},
    }
