"""The columns of a bronze table, and the Arrow type that each declared type is held in."""

import pyarrow as pa

from data_platform.declarations import DataType, SourceTable, Stream

TIMESTAMP_TYPE = pa.timestamp("us", tz="UTC")

_PLAIN = {
    "string": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP_TYPE,
    "binary": pa.binary(),
}

# What a connector says about every row, beside the declared columns.
_SAID_BY_CONNECTOR = (
    pa.field("_op", pa.string()),
    pa.field("_origin", pa.string()),
    pa.field("_rescued", pa.string()),
)
# The place of a change in its source's own order; wide enough for DynamoDB's sequence numbers.
_ORDER = pa.field("_order", pa.decimal128(38, 0))
# What a message says beside its value.
_SAID_BY_MESSAGES = (
    pa.field("_message_key", pa.string()),
    pa.field("_sent_at", TIMESTAMP_TYPE),
    pa.field("_headers", pa.string()),
)
_SAID_BY_LOADER = (pa.field("_batch", pa.int64()), pa.field("_landed_at", TIMESTAMP_TYPE))
# The day of `_landed_at`, UTC: what the tables of streams are partitioned by, which grow by many small commits.
LANDED_ON = "_landed_on"
_DAY = pa.field(LANDED_ON, pa.date32())


def arrow_type(declared: DataType) -> pa.DataType:
    if declared.kind == "decimal":
        return pa.decimal128(declared.precision, declared.scale)
    if declared.of is not None:
        return pa.list_(arrow_type(declared.of))
    if declared.kind == "struct":
        return pa.struct([pa.field(column.name, arrow_type(column.type)) for column in declared.fields])
    return _PLAIN[declared.kind]


def _declared_fields(table: SourceTable) -> list[pa.Field]:
    return [pa.field(column.name, arrow_type(column.type)) for column in table.columns]


def _said_by_connector(table: SourceTable) -> tuple[pa.Field, ...]:
    if not isinstance(table.load, Stream):
        return _SAID_BY_CONNECTOR
    return (*_SAID_BY_CONNECTOR, _ORDER, *(_SAID_BY_MESSAGES if table.load.messages else ()))


def connector_schema(table: SourceTable) -> pa.Schema:
    """What a connector hands over: a bronze row but for what the loader adds."""
    return pa.schema([*_declared_fields(table), *_said_by_connector(table)])


def bronze_schema(table: SourceTable) -> pa.Schema:
    day = (_DAY,) if isinstance(table.load, Stream) else ()
    return pa.schema([*_declared_fields(table), *_SAID_BY_LOADER, *day, *_said_by_connector(table)])
