"""The dbt sources, made from the declarations: what silver offers to gold, in the warehouse's types.

`python -m data_platform.gold.sources` writes them where dbt reads them; the file is committed, so that a
checkout is a whole dbt project.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from data_platform.declarations import (
    BOOLEAN,
    INTEGER,
    LIST,
    STRING,
    TIMESTAMP,
    Column,
    DataType,
    SourceTable,
)
from data_platform.settings import Settings
from data_platform.silver.catalogue import JOINED
from data_platform.silver.joined import Joined
from data_platform.sources.catalogue import TABLES

MADE_BY = "# Made from the declarations by `python -m data_platform.gold.sources`; change those instead.\n"

# The same variables as in profiles.yml, with the same defaults. For a lake on S3, profiles.yml is also
# where DuckDB is given httpfs and a secret.
LAKE = "{{ env_var('LAKE_URI', env_var('DATA_PLATFORM_HOME', '../.data') ~ '/lake') }}"

_WAREHOUSE_TYPES = {
    "string": "varchar",
    "json": "varchar",
    "timestamp": "timestamp with time zone",
    "binary": "blob",
}

# What silver says about each row, beside the declared columns.
_SAID_BY_SILVER = (
    ("is_deleted", BOOLEAN, "The source has deleted the row; it stays as a tombstone."),
    ("_batch", INTEGER, "The silver commit that last touched the row; it only grows."),
    ("_landed_at", TIMESTAMP, "When the row landed in bronze."),
    ("_warnings", LIST(STRING), "The warning rules that the row breaks."),
)


def warehouse_type(declared: DataType) -> str:
    """The declared type as the warehouse writes it."""
    if declared.of is not None:
        return f"{warehouse_type(declared.of)}[]"
    if declared.kind == "struct":
        return (
            f"struct({', '.join(f'{field.name} {warehouse_type(field.type)}' for field in declared.fields)})"
        )
    return _WAREHOUSE_TYPES.get(declared.kind, str(declared))


def sources_yaml(tables: Iterable[SourceTable], joined: Iterable[Joined]) -> str:
    """The dbt sources file for these tables, and for those made of several."""
    silver = {
        "name": "silver",
        "description": "A table per source table, and those made of several; deleted rows stay as tombstones.",
        "config": {"meta": {"external_location": f"delta_scan('{LAKE}/silver/{{identifier}}')"}},
        "tables": [*(_table(table) for table in tables), *(_joined(table) for table in joined)],
    }
    listed: str = yaml.safe_dump({"version": 2, "sources": [silver]}, sort_keys=False, width=110)
    return MADE_BY + listed


def _table(table: SourceTable) -> dict[str, Any]:
    declared = [_column(table, column, column.silver_name) for column in table.columns if column.silver_name]
    return {
        "name": table.silver_name,
        "description": f"{table.description} One row per {', '.join(table.silver_key)}.",
        "columns": declared + [_said_by_silver(*column) for column in _SAID_BY_SILVER],
    }


def _joined(table: Joined) -> dict[str, Any]:
    declared = [_described(column, column.name, column.description) for column in table.columns]
    return {
        "name": table.name,
        "description": f"{table.description} One row per {', '.join(table.key)}.",
        "columns": declared
        + [_said_by_silver(*column) for column in _SAID_BY_SILVER if column[0] != "_warnings"],
    }


def _column(table: SourceTable, column: Column, silver_name: str) -> dict[str, Any]:
    return _described(column, silver_name, f"{table.reads}.{column.name}. {column.description}".strip())


def _described(column: Column, name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "data_type": warehouse_type(column.type),
        "config": {"meta": {"classification": column.classification}},
    }


def _said_by_silver(name: str, declared: DataType, description: str) -> dict[str, Any]:
    return {"name": name, "description": description, "data_type": warehouse_type(declared)}


def sources_file(project: Path) -> Path:
    return project / "models" / "staging" / "_silver.yml"


def write_sources(project: Path) -> None:
    """Bring the file up to the declarations; where it is already, dbt has nothing to parse again."""
    file, made = sources_file(project), sources_yaml(TABLES, JOINED)
    if not file.exists() or file.read_text() != made:
        file.write_text(made)


if __name__ == "__main__":
    write_sources(Settings().dbt_project)
