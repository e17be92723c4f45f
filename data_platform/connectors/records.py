"""Rows on their way into bronze: values as a source writes them in JSON, in columns of the declared types.

A value that does not fit its declared type is kept as JSON in the row's `_rescued`, and so is every field
that is not declared; the row itself always lands. Only a number declared as a float passes through one.
"""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

# PyArrow imports it at its first array, which would be in the middle of a load.
import pandas  # noqa: F401
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.nested import Loss, Misfit, Written, as_declared, is_nested
from data_platform.declarations import Column, DataType, SourceTable
from data_platform.lake.schema import arrow_type, connector_schema

# What a row keeps beside its columns: the values that are not declared or did not fit, by field.
Rescue = dict[str, Any]
# The rescues of some rows, by the row's place; one that is asked for is made.
Rescues = defaultdict[int, Rescue]

NULL: Final = msgspec.Raw(b"null")
_NULL_LETTERS: Final = np.frombuffer(b"null", np.uint8)
# What JSON must hold for a declared kind; the others are written as strings.
_WRITTEN: Final[dict[str, Any]] = {
    "boolean": bool | None,
    "bigint": int | None,
    "double": float | None,
    "decimal": Decimal | None,
    "binary": bytes | None,
    "json": msgspec.Raw,
    "list": list[Any] | None,
}
_MISFIT: Final = object()


# Python's own context would round to 28 digits.
_ALL_DIGITS = Context(prec=1000)


def exact_number(text: str) -> Decimal | int:
    """A number with one way to be written: 12.50 and 12.5 are the same value, and so are 5.0 and 5."""
    number = Decimal(text)
    if number == number.to_integral_value() and number.adjusted() < 19:
        return int(number)
    return number.normalize(_ALL_DIGITS)


ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")
ANY = msgspec.json.Decoder(float_hook=exact_number)


@dataclass(frozen=True)
class Rows:
    """Some rows, as one array per column and the JSON of what fits no column."""

    columns: Mapping[str, pa.Array]
    rescued: pa.Array

    def __len__(self) -> int:
        return len(self.rescued)


def bronze_rows(
    table: SourceTable,
    rows: Rows,
    *,
    op: str | pa.Array,
    origin: str | pa.Array,
    order: pa.Array | None = None,
) -> pa.RecordBatch:
    """The rows in the table's bronze columns; a column that the source does not have is null."""
    said = {"_op": op, "_origin": origin, "_rescued": rows.rescued, "_order": order}
    schema = connector_schema(table)
    columns = [
        _of_each(said[field.name], len(rows))
        if field.name in said
        else rows.columns.get(field.name, pa.nulls(len(rows), field.type))
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _of_each(value: Any, number: int) -> pa.Array:
    return pa.repeat(value, number) if isinstance(value, str) else value


def fitting(raws: Sequence[msgspec.Raw], column: Column, rescues: Rescues) -> pa.Array:
    """The values that fit; null for the others, which go to their row's rescue."""
    if is_nested(column.type):
        return shaped(list(map(ANY.decode, raws)), column, _IN_JSON, rescues)
    decoder = msgspec.json.Decoder(written(column.type))
    values = [_value(raw, decoder, column.type.kind) for raw in raws]
    misfits = [place for place, value in enumerate(values) if value is _MISFIT]
    missing = absent(column.type)
    for place in misfits:
        values[place] = missing
    array, others = fitted(values, partial(held, declared=column.type), missing)
    for place in (*misfits, *others):
        rescues[place][column.name] = ANY.decode(raws[place])
    return array


def shaped(values: Sequence[Any], column: Column, written: Written, rescues: Rescues) -> pa.Array:
    """What fits of each value; one that does not fit whole is rescued whole beside it."""
    fits = []
    for place, value in enumerate(values):
        loss = Loss()
        fits.append(as_declared(value, column.type, written, loss))
        if loss.happened:
            rescues[place][column.name] = written.kept(value)
    array, misfits = fitted(fits, partial(pa.array, type=arrow_type(column.type)))
    for place in misfits:
        rescues[place][column.name] = written.kept(values[place])
    return array


def fitted(
    values: Sequence[Any], array: Callable[[Sequence[Any]], pa.Array], missing: Any = None
) -> tuple[pa.Array, list[int]]:
    """The values as one array, with what is missing in the places of those that `array` has no room for; and these."""
    try:
        return array(values), []
    except (pa.ArrowException, OverflowError):
        misfits = [place for place, value in enumerate(values) if not _is_held(value, array)]
    kept = list(values)
    for place in misfits:
        kept[place] = missing
    return array(kept), misfits


def _is_held(value: Any, array: Callable[[Sequence[Any]], pa.Array]) -> bool:
    try:
        array([value])
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _value(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Any], kind: str) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        # A whole number may be written as 5.0.
        whole = ANY.decode(raw) if kind == "bigint" else None
        return whole if type(whole) is int else _MISFIT


def held(values: Sequence[Any], declared: DataType) -> pa.Array:
    """The values as one array; refuses any that would lose something."""
    if declared.kind == "json":
        return _texts(values)
    if declared.kind in ("date", "timestamp"):
        return pc.cast(pa.array(values, pa.string()), arrow_type(declared))
    if is_nested(declared):
        loss = Loss()
        values = [as_declared(ANY.decode(raw), declared, _IN_JSON, loss) for raw in values]
        if loss.happened:
            raise pa.ArrowInvalid("something within a value does not fit")
    return pa.array(values, arrow_type(declared))


def _texts(raws: Sequence[msgspec.Raw]) -> pa.Array:
    """Pieces of JSON as texts, `null` as null: put together by hand in a fifth of `pa.array`'s time."""
    lengths = np.fromiter(map(len, raws), np.int32, len(raws))
    ends = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
    letters = b"".join(raws)
    is_null = lengths == len(_NULL_LETTERS)
    begins = ends[:-1][is_null, np.newaxis] + np.arange(len(_NULL_LETTERS))
    is_null[is_null] = (np.frombuffer(letters, np.uint8)[begins] == _NULL_LETTERS).all(axis=1)
    texts = pa.StringArray.from_buffers(
        len(raws),
        pa.py_buffer(ends),
        pa.py_buffer(letters),
        pa.py_buffer(np.packbits(~is_null, bitorder="little")),
    )
    texts.validate(full=True)
    return texts


def rescued_of(rescues: Mapping[int, Rescue], number: int) -> pa.Array:
    """The rescues of so many rows, most of which have none."""
    if not rescues:
        return pa.nulls(number, pa.string())
    return rescued_json([rescues.get(place, {}) for place in range(number)])


def rescued_json(rescues: Sequence[Rescue]) -> pa.Array:
    return pa.array([ENCODER.encode(rescue).decode() if rescue else None for rescue in rescues], pa.string())


def written(declared: DataType) -> Any:
    if is_nested(declared):
        return msgspec.Raw
    if declared.of and declared.of.kind == "decimal":
        return list[Decimal | None] | None
    return _WRITTEN.get(declared.kind, str | None)


def absent(declared: DataType) -> Any:
    return NULL if written(declared) is msgspec.Raw else None


def _of_kind(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise Misfit
    return value


def _number(value: Any) -> Any:
    # True is a number to Python.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Misfit
    return value


def moment_of(text: str) -> datetime:
    """By ISO 8601, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any, declared: DataType) -> Any:
    match declared.kind:
        case "json":
            return ENCODER.encode(value).decode()
        case "boolean":
            return _of_kind(bool, value)
        case "bigint":
            return _of_kind(int, _number(value))
        case "double":
            return float(_number(value))
        case "decimal":
            return Decimal(_number(value))
        case "date":
            return date.fromisoformat(_of_kind(str, value))
        case "timestamp":
            return moment_of(_of_kind(str, value))
        case "binary":
            return b64decode(_of_kind(str, value), validate=True)
        case _:
            return _of_kind(str, value)


_IN_JSON: Final = Written(
    is_missing=lambda value: value is None,
    listed=partial(_of_kind, list),
    fields=partial(_of_kind, dict),
    plain=_plain,
    kept=lambda value: value,
)
