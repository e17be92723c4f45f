"""How many rows gold's tables have, asked of whichever warehouse holds them."""

from collections.abc import Mapping

from data_platform.gold.served import target_for
from data_platform.gold.serving.target import TargetError
from data_platform.settings import Settings


def row_counts(settings: Settings, tables: Mapping[str, str]) -> dict[str, int]:
    """By the table's name, of tables with their schemas; nothing where the warehouse can't say."""
    if not tables:
        return {}
    if settings.warehouse == "duckdb":
        return _in_the_file(settings, tables)
    try:
        with target_for(settings.warehouse, settings).session() as session:
            asked = (f"select '{name}', count(*) from {schema}.{name}" for name, schema in tables.items())
            return {str(name): int(rows) for name, rows in session.ask(" union all ".join(asked))}
    except TargetError:
        return {}


def _in_the_file(settings: Settings, tables: Mapping[str, str]) -> dict[str, int]:
    import duckdb

    try:
        with duckdb.connect(str(settings.duckdb_building), read_only=True) as connection:
            there = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            counts = {
                name: connection.table(f'"{schema}"."{name}"').count("*").fetchone()
                for schema, name in there
                if tables.get(name) == schema
            }
            return {name: int(count[0]) for name, count in counts.items() if count}
    except duckdb.IOException:
        return {}
