"""Rows put into bronze as a connector hands them over, for tests of what is made of them."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from data_platform.bronze.load import bronze_table
from data_platform.declarations import SourceTable
from data_platform.lake.append import Appender
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import Lake, Note
from sandbox.world.shop import Unheld


def land(lake: Lake, table: SourceTable, *rows: Mapping[str, Any]) -> None:
    """In one commit; no row at all makes none."""
    full = [
        {"_op": "upsert"} | {name: _held(table, name, value) for name, value in row.items()} for row in rows
    ]
    if not full:
        return
    appender = Appender(bronze_table(table, lake))
    appender.write(pa.RecordBatch.from_pylist(full, schema=connector_schema(table)))
    appender.commit(Note({"landed": appender.batch}))


def _held(table: SourceTable, name: str, value: Any) -> Any:
    if isinstance(value, Unheld):
        return None
    if isinstance(value, dict | list) and table.by_name[name].type.kind == "json":
        return json.dumps(value, default=str)
    return value
