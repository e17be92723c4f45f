"""Columns as a database's client hands them over, in Arrow, into columns of the declared types.

A value that does not fit its declared type is kept as JSON in the row's `_rescued`, and so is every column that is
not declared. A moment without a zone is in UTC, which connectors set their sessions to.
"""

from collections.abc import Callable, Sequence

import pyarrow as pa

from data_platform.connectors.records import Rescue, Rows, rescued_of
from data_platform.declarations import Column, DataType
from data_platform.lake.schema import TIMESTAMP_TYPE, arrow_type


def rows_from_columns(held: pa.RecordBatch, columns: Sequence[Column], undeclared: Sequence[str]) -> Rows:
    """The columns that are there, as they are declared; each batch's cost is that of Arrow's casts."""
    rescues: dict[int, Rescue] = {}

    def keep(name: str, place: int, value: pa.Scalar) -> None:
        rescues.setdefault(place, {})[name] = value.as_py()

    fitting = {
        column.name: _fitting(held.column(column.name), column, keep)
        for column in columns
        if column.name in held.schema.names
    }
    for name in undeclared:
        for place, value in enumerate(held.column(name)):
            if value.is_valid:
                keep(name, place, value)
    return Rows(fitting, rescued_of(rescues, held.num_rows))


def _fitting(
    values: pa.Array, column: Column, keep: Callable[[str, int, pa.Scalar], None], first: int = 0
) -> pa.Array:
    """The values that fit and null for the others, found by halves: one misfit of a million costs twenty casts."""
    try:
        return _as_declared(values, column.type)
    except pa.ArrowException:
        if len(values) == 1:
            keep(column.name, first, values[0])
            return pa.nulls(1, arrow_type(column.type))
    middle = len(values) // 2
    halves = (
        _fitting(values[:middle], column, keep, first),
        _fitting(values[middle:], column, keep, first + middle),
    )
    return pa.concat_arrays(halves)


def _as_declared(values: pa.Array, declared: DataType) -> pa.Array:
    """The same values in the declared type; refuses any that would lose something."""
    came = values.type
    match declared.kind:
        case "boolean" if not pa.types.is_boolean(came):
            return _truths(values)
        case "timestamp":
            return _moments(values)
        case "decimal" if not (pa.types.is_decimal(came) or pa.types.is_null(came)):
            # A number's own digits: Arrow asks an integer type for its widest, and rounds what floats.
            values = values.cast(pa.string())
        case "bigint" if pa.types.is_floating(came):
            return values.cast(pa.string()).cast(pa.int64())
    return values.cast(arrow_type(declared))


def _truths(values: pa.Array) -> pa.Array:
    """Only 0 and 1 are truths; Arrow would take every other number for one."""
    if pa.types.is_integer(values.type):
        return values.cast(pa.string()).cast(pa.bool_())
    return values.cast(pa.bool_())


def _moments(values: pa.Array) -> pa.Array:
    if not pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us")).cast(TIMESTAMP_TYPE)
    # The lake holds microseconds, as every moment in it; what a source tells beyond them is cut off.
    return values.cast(TIMESTAMP_TYPE, safe=False)
