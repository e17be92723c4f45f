"""Bronze assets: one per declared table, each a load with its receipt."""

from typing import Any

import dagster as dg

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.declarations import SourceTable
from data_platform.described import RETRIES, bronze_key, column_schema, failing_plainly, tags_of
from data_platform.lake.places import lake_of
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
        ],
        retry_policy=RETRIES,
        pool=table.system,
    )
    def bronze(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with failing_plainly(f"bronze/{table.system}/{table.name} was not loaded"):
            loaded = load(table, connector_for(table, settings), lake_of(settings), settings.commit_rows)
        context.log.info("%s: %s", table.silver_name, loaded.receipt.says)
        for note in loaded.notes:
            context.log.warning("%s: %s", table.silver_name, note)
        return _result(loaded)

    return bronze


def _result(loaded: Loaded) -> dg.MaterializeResult[None]:
    receipt = loaded.receipt
    return dg.MaterializeResult(
        # A load that found nothing leaves the version as it was, so nothing downstream stirs.
        data_version=dg.DataVersion(str(loaded.batch)),
        metadata=metadata_of(loaded),
        check_results=[
            dg.AssetCheckResult(
                check_name="receipt_adds_up",
                passed=receipt.adds_up,
                metadata={
                    "receipt": receipt.says,
                    **{k: v for k, v in receipt.as_dict().items() if v is not None},
                },
            ),
            dg.AssetCheckResult(
                check_name="columns_as_declared",
                passed=not loaded.drift,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "differences": len(loaded.drift),
                    "what": dg.MetadataValue.md(
                        "\n".join(f"- {drift.says}" for drift in loaded.drift) or "none"
                    ),
                },
            ),
        ],
    )


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
        "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in loaded.notes)),
    }
