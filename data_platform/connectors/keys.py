"""Which keys a source has no longer, found by comparing those that we hold with those that are there."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from data_platform.connectors.base import Landed
from data_platform.declarations import SourceTable
from data_platform.lake.schema import arrow_type


def live_keys(table: SourceTable, landed: Landed) -> pa.Table:
    """The keys that we hold as alive, in the declared types."""
    # What the lake is asked comes as views of strings, which Arrow compares with nothing.
    return landed.live_keys().select(list(table.key)).cast(_schema(table))


def gone_keys(table: SourceTable, landed: Landed, present: Iterable[Mapping[str, pa.Array]]) -> pa.Table:
    """The keys that we hold as alive and the source does not have; `present` are those it has, some at a time."""
    schema = _schema(table)
    there = pa.concat_tables([schema.empty_table(), *(key_columns(table, columns) for columns in present)])
    return live_keys(table, landed).join(there, list(table.key), join_type="left anti")


def key_columns(table: SourceTable, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The key alone."""
    return pa.table({name: columns[name] for name in table.key}, schema=_schema(table))


def _schema(table: SourceTable) -> pa.Schema:
    return pa.schema([(name, arrow_type(table.by_name[name].type)) for name in table.key])
