"""Bronze assets: one per declared table, each a load with its receipt."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.declarations import SourceTable, Stream
from data_platform.described import RETRIES, bronze_key, column_schema, failing_plainly, tags_of
from data_platform.lake.compaction import compact_small
from data_platform.lake.errors import LakeError
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
from data_platform.settings import Settings


def bronze_asset(table: SourceTable, settings: Settings) -> dg.AssetsDefinition:
    key = bronze_key(table)

    @dg.asset(
        key=key,
        description=f"{table.description} Every version that was seen of them, as it came.",
        group_name="bronze",
        kinds={table.system, "delta"},
        owners=[table.owner],
        tags=tags_of(table),
        metadata={
            "dagster/column_schema": column_schema(table.by_name),
            "dagster/table_name": f"bronze.{table.system}_{table.name}",
            "reads": table.reads,
            "quarantine": f"{settings.lake}/quarantine/{table.system}/{table.name}",
            "kept_for_days": table.keep_for.days,
        },
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=table.every.promise),
        check_specs=[
            dg.AssetCheckSpec(
                "receipt_adds_up",
                asset=key,
                blocking=True,
                description="Rows offered by the source = rows landed + quarantined + landed before.",
            ),
            dg.AssetCheckSpec(
                "columns_as_declared",
                asset=key,
                description="The source has the columns that are declared, in their types, and no others.",
            ),
            *gap_specs(table),
        ],
        retry_policy=RETRIES,
        pool=table.system,
    )
    def bronze(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with failing_plainly(f"bronze/{table.system}/{table.name} was not loaded"):
            loaded = load(table, connector_for(table, settings), lake_of(settings), settings.commit_rows)
        context.log.info("%s: %s", table.silver_name, loaded.receipt.says)
        if isinstance(table.load, Stream):
            _compact(loaded.held, context)
        for note in loaded.notes:
            context.log.warning("%s: %s", table.silver_name, note)
        return dg.MaterializeResult(
            # A load that found nothing leaves the version as it was, so nothing downstream stirs.
            data_version=dg.DataVersion(str(loaded.batch)),
            metadata=metadata_of(loaded),
            check_results=checks_of(table, loaded),
        )

    return bronze


def gap_specs(table: SourceTable) -> list[dg.AssetCheckSpec]:
    """A topic forgets what is old, whether or not it was read."""
    if not _reads_messages(table):
        return []
    return [
        dg.AssetCheckSpec(
            "no_gap_in_offsets",
            asset=bronze_key(table),
            description="No offset was removed by the topic's retention before it was read.",
        )
    ]


def checks_of(table: SourceTable, loaded: Loaded) -> list[dg.AssetCheckResult]:
    """What a load itself says of the table."""
    receipt, key = loaded.receipt, bronze_key(table)
    results = [
        dg.AssetCheckResult(
            asset_key=key,
            check_name="receipt_adds_up",
            passed=receipt.adds_up,
            metadata={
                "receipt": receipt.says,
                **{k: v for k, v in receipt.as_dict().items() if v is not None},
            },
        ),
        dg.AssetCheckResult(
            asset_key=key,
            check_name="columns_as_declared",
            passed=not loaded.drift,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "differences": len(loaded.drift),
                "what": _listed([drift.says for drift in loaded.drift]),
            },
        ),
    ]
    if _reads_messages(table):
        gaps = dg.AssetCheckResult(
            asset_key=key,
            check_name="no_gap_in_offsets",
            passed=not loaded.gaps,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"gaps": len(loaded.gaps), "what": _listed(loaded.gaps)},
        )
        results.append(gaps)
    return results


def _reads_messages(table: SourceTable) -> bool:
    return isinstance(table.load, Stream) and table.load.messages is not None


def _listed(said: Sequence[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {each}" for each in said) or "none")


def metadata_of(loaded: Loaded) -> dict[str, Any]:
    """What Dagster shows of a load."""
    receipt = loaded.receipt
    return {
        "dagster/row_count": loaded.rows,
        "receipt": receipt.says,
        "offered": receipt.offered if receipt.offered is not None else "uncounted",
        "landed": receipt.landed,
        "rescued": receipt.rescued,
        "quarantined": receipt.quarantined,
        "overlap": receipt.overlap,
        "batch": loaded.batch,
        "position": dg.MetadataValue.json(dict(loaded.position or {})),
        "notes": _listed(loaded.notes),
    }


def _compact(held: LakeTable, context: dg.AssetExecutionContext) -> None:
    """What can't be put together now waits for the next load: the rows have landed."""
    try:
        done = compact_small(held)
    except LakeError as trouble:
        context.log.warning("%s", trouble)
        return
    if done.rows:
        context.log.info("%s: %d files became %d", held.name, done.files_before, done.files_after)
