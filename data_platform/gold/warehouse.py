"""The warehouse that gold is built in: which silver tables it needs beside it, and the assets that load them there.

DuckDB reads silver in the lake, and needs none. Redshift and Snowflake hold silver's tables in the schema `silver`,
kept up to the lake by the same loads as the tables that are served to others (`serving/`).
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from data_platform.declarations import BOOLEAN, INTEGER, TIMESTAMP
from data_platform.described import InSilver
from data_platform.gold.served import loading_asset
from data_platform.gold.serving.declared import IS_DELETED, NOT_SERVED, Served, ServedColumn
from data_platform.settings import Settings

SCHEMA = "silver"
# A table of a database has no place for these: what has an inner shape, and what no warehouse's COPY takes as it is.
LEFT_OUT = (*NOT_SERVED, "binary")

_OF_SILVER = (
    ServedColumn(IS_DELETED, BOOLEAN, description="The source has deleted the row; it stays as a tombstone."),
    ServedColumn(
        "_batch", INTEGER, description="The silver commit that last touched the row; it only grows."
    ),
    ServedColumn("_landed_at", TIMESTAMP, description="When the row landed in bronze."),
)


def silver_key(warehouse: str, name: str) -> dg.AssetKey:
    """The asset that models read a silver table from."""
    if warehouse == "duckdb":
        return dg.AssetKey(["silver", name])
    return dg.AssetKey(["warehouse", warehouse, "silver", name])


def copy_of(table: InSilver) -> Served:
    """A silver table as a warehouse holds it: deleted rows too, which close histories."""
    kept = (
        ServedColumn(
            column.silver_name,
            column.type,
            sensitive=column.classification != "internal",
            description=column.description,
        )
        for column in table.columns
        if column.silver_name and column.type.kind not in LEFT_OUT
    )
    return Served(
        name=table.silver_name,
        source=table.silver_name,
        description=table.description,
        owner=table.owner,
        key=table.silver_key,
        columns=(*kept, *_OF_SILVER),
        schema=SCHEMA,
        keeps_deleted=True,
    )


def warehouse_assets(
    copies: Iterable[Served],
    read_by_gold: Iterable[dg.AssetKey],
    settings: Settings,
    automation_condition: dg.AutomationCondition[Any] | None = None,
) -> list[dg.AssetsDefinition]:
    """An asset for each silver table that gold reads, where its warehouse does not read the lake."""
    if settings.warehouse == "duckdb":
        return []
    wanted = set(read_by_gold)
    return [
        loading_asset(table, settings.warehouse, key.path, "warehouse", settings, automation_condition)
        for table in copies
        if (key := silver_key(settings.warehouse, table.source)) in wanted
    ]
