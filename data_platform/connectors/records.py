"""Records as a source writes them (JSON pages, columns of text) into columns of the declared types.

A value that does not fit its declared type is kept as JSON in the row's `_rescued`, and so is every field
that is not declared; the row itself always lands. Only a number declared as a float passes through one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from data_platform.connectors.http import Unreadable
from data_platform.declarations import Column, DataType
from data_platform.lake.schema import arrow_type

# What a row keeps beside its columns: the values that are not declared or did not fit, by field.
Rescue = dict[str, Any]

_NULL: Final = msgspec.Raw(b"null")
# What JSON must hold for a declared kind; the others are written as strings.
_WRITTEN: Final[dict[str, Any]] = {
    "boolean": bool | None,
    "bigint": int | None,
    "double": float | None,
    "decimal": Decimal | None,
    "binary": bytes | None,
    "json": msgspec.Raw,
    "list": list[Any] | None,
    "struct": dict[str, Any] | None,
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


_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")
_ANY = msgspec.json.Decoder(float_hook=exact_number)


@dataclass(frozen=True)
class Rows:
    """Some rows, as one array per column and the JSON of what fits no column."""

    columns: Mapping[str, pa.Array]
    rescued: pa.Array

    def __len__(self) -> int:
        return len(self.rescued)


class JsonPages:
    """Reads pages of one shape: an object whose field `under` lists the records.

    `undeclared` are fields known to come beside the declared ones, `ignored` those that hold nothing of the
    record. Pages that are as declared take the fast way; any other page is read value by value.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        under: str,
        undeclared: Sequence[str] = (),
        ignored: Sequence[str] = (),
    ) -> None:
        self._columns = columns
        self._undeclared = undeclared
        self._ignored = frozenset(ignored)
        self._under = under
        record = msgspec.defstruct(
            "Record",
            [(column.name, _written(column.type), _absent(column.type)) for column in columns]
            + [(name, Any, None) for name in undeclared]
            + [(name, msgspec.Raw, _NULL) for name in ignored],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._as_declared = msgspec.json.Decoder(_page(under, record), float_hook=exact_number)
        self._exact = msgspec.json.Decoder(_page(under, dict[str, msgspec.Raw]))

    def read(self, body: bytes) -> Rows:
        try:
            try:
                return self._read_as_declared(getattr(self._as_declared.decode(body), self._under))
            except (msgspec.ValidationError, pa.ArrowException, OverflowError):
                return self._read_exactly(getattr(self._exact.decode(body), self._under))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable(f"its answer held no list of records under {self._under!r}") from None

    def _read_as_declared(self, records: list[Any]) -> Rows:
        if not records:
            return self._read_exactly([])
        # A column at a time costs half of a field at a time.
        by_field = list(zip(*map(astuple, records), strict=True))
        columns = {
            column.name: _held(values, column.type)
            for column, values in zip(self._columns, by_field, strict=False)
        }
        if not self._undeclared:
            return Rows(columns, pa.nulls(len(records), pa.string()))
        first = len(self._columns)
        undeclared = zip(*by_field[first : first + len(self._undeclared)], strict=True)
        return Rows(columns, _rescued([self._undeclared_of(values) for values in undeclared]))

    def _undeclared_of(self, values: Sequence[Any]) -> Rescue:
        named = zip(self._undeclared, values, strict=True)
        return {name: value for name, value in named if value is not None}

    def _read_exactly(self, records: list[dict[str, msgspec.Raw]]) -> Rows:
        rescues: list[Rescue] = [{} for _ in records]
        columns = {
            column.name: _fitting([record.get(column.name, _NULL) for record in records], column, rescues)
            for column in self._columns
        }
        known = {column.name for column in self._columns} | self._ignored
        for record, rescue in zip(records, rescues, strict=True):
            for name, raw in record.items():
                if name not in known and (value := _ANY.decode(raw)) is not None:
                    rescue[name] = value
        return Rows(columns, _rescued(rescues))


def rows_from_text(
    texts: pa.Table, columns: Sequence[Column], undeclared: Sequence[str], meant: Callable[[str, str], Any]
) -> Rows:
    """Columns of text (a CSV) in the declared types; a JSON column's text is its JSON.

    `meant(field, text)` is the value that the source would give for it in a JSON page: what is rescued is
    then the same whichever way it was read.
    """
    rescues: list[Rescue] = [{} for _ in range(texts.num_rows)]
    held = {}
    for column in columns:
        held[column.name] = _from_text(texts.column(column.name).combine_chunks(), column, rescues, meant)
    for name in undeclared:
        for rescue, text in zip(rescues, texts.column(name).to_pylist(), strict=True):
            if text is not None:
                rescue[name] = meant(name, text)
    return Rows(held, _rescued(rescues))


def _from_text(
    texts: pa.Array, column: Column, rescues: list[Rescue], meant: Callable[[str, str], Any]
) -> pa.Array:
    if column.type.kind == "json" or texts.null_count == len(texts):
        return pc.cast(texts, arrow_type(column.type))
    if column.type.kind != "string":
        try:
            return pc.cast(texts, arrow_type(column.type))
        except pa.ArrowException:
            pass
    elif isinstance(meant(column.name, pc.drop_null(texts)[0].as_py()), str):
        return texts
    raws = [
        _NULL if text is None else msgspec.Raw(_ENCODER.encode(meant(column.name, text)))
        for text in texts.to_pylist()
    ]
    return _fitting(raws, column, rescues)


def _fitting(raws: Sequence[msgspec.Raw], column: Column, rescues: list[Rescue]) -> pa.Array:
    """The values that fit; null for the others, which go to their row's rescue."""
    decoder = msgspec.json.Decoder(_written(column.type))
    values = [_value(raw, decoder, column.type.kind) for raw in raws]
    fitting = [_absent(column.type) if value is _MISFIT else value for value in values]
    each_must_be_tried = not _holds(fitting, column.type)
    for place, value in enumerate(values):
        if value is _MISFIT or (each_must_be_tried and not _holds([value], column.type)):
            rescues[place][column.name] = _ANY.decode(raws[place])
            fitting[place] = _absent(column.type)
    return _held(fitting, column.type)


def _value(raw: msgspec.Raw, decoder: msgspec.json.Decoder[Any], kind: str) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        # A whole number may be written as 5.0.
        whole = _ANY.decode(raw) if kind == "bigint" else None
        return whole if type(whole) is int else _MISFIT


def _holds(values: Sequence[Any], declared: DataType) -> bool:
    try:
        _held(values, declared)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _held(values: Sequence[Any], declared: DataType) -> pa.Array:
    """The values as one array; refuses any that would lose something."""
    if declared.kind == "json":
        texts = [None if raw == b"null" else raw for raw in map(bytes, values)]
        return pc.cast(pa.array(texts, pa.binary()), pa.string())
    if declared.kind in ("date", "timestamp"):
        return pc.cast(pa.array(values, pa.string()), arrow_type(declared))
    return pa.array(values, arrow_type(declared))


def _rescued(rescues: Sequence[Rescue]) -> pa.Array:
    return pa.array([_ENCODER.encode(rescue).decode() if rescue else None for rescue in rescues], pa.string())


def _written(declared: DataType) -> Any:
    return _WRITTEN.get(declared.kind, str | None)


def _absent(declared: DataType) -> Any:
    return _NULL if declared.kind == "json" else None


def _page(under: str, record: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Page", [(under, list[record])], gc=False)
