"""Records as a source writes them (JSON pages, columns of text) into columns of the declared types.

A value that does not fit its declared type is kept as JSON in the row's `_rescued`, and so is every field
that is not declared; the row itself always lands. Only a number declared as a float passes through one.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np

# PyArrow imports it at its first array, which would be in the middle of a load.
import pandas  # noqa: F401
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
from msgspec.structs import astuple

from data_platform.connectors.http import Unreadable
from data_platform.declarations import Column, DataType, SourceTable
from data_platform.lake.schema import arrow_type, connector_schema

# What a row keeps beside its columns: the values that are not declared or did not fit, by field.
Rescue = dict[str, Any]
# The rescues of some rows, by the row's place; one that is asked for is made.
Rescues = defaultdict[int, Rescue]

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
# What Arrow reads from JSON as exactly as we do.
_PLAIN: Final = frozenset({"string", "boolean", "bigint", "double", "decimal", "date", "timestamp"})
_MISFIT: Final = object()
# A number as JSON writes one.
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

Path = tuple[str, ...]


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
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


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


class JsonPages:
    """Reads pages of one shape: an object whose field `under` lists the records.

    Arrow reads the columns of a page whose values all fit, without holding up other threads; any other page is
    read value by value. `undeclared` are the fields that were asked for beside the declared ones (None: the source
    was not told which to send, and any can come), `ignored` those that hold nothing of the record.

    `path` says where in the record a column is, where records have inner objects; a column that is not of a plain
    type is a field of the record itself. `as_text` are the kinds of number that the source writes in quotes.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        under: str,
        undeclared: Sequence[str] | None = None,
        ignored: Sequence[str] = (),
        path: Callable[[str], Path] = lambda name: (name,),
        as_text: Collection[str] = (),
    ) -> None:
        self._columns = columns
        self._paths = {column.name: path(column.name) for column in columns}
        self._as_text = frozenset(as_text)
        self._plain = [column for column in columns if column.type.kind in _PLAIN]
        self._shaped = [column for column in columns if column.type.kind not in _PLAIN]
        self._under = under
        self._undeclared = undeclared
        self._known = frozenset(ignored).union(found[0] for found in self._paths.values())
        record = _record((self._paths[column.name], self._in_json(column.type)) for column in self._plain)
        self._as_declared = pa_json.ParseOptions(
            explicit_schema=pa.schema([(under, pa.list_(record))]),
            # To be told of the others costs Arrow a guess at each of their values.
            unexpected_field_behavior="infer" if undeclared is None else "ignore",
        )
        self._exact = msgspec.json.Decoder(_page(under, dict[str, msgspec.Raw]))
        self._decoders: dict[tuple[str, ...], msgspec.json.Decoder[Any]] = {}

    def read(self, body: bytes) -> Rows:
        try:
            try:
                return self._read_by_column(body)
            except (msgspec.ValidationError, pa.ArrowException, OverflowError):
                return self._read_exactly(getattr(self._exact.decode(body), self._under))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable(f"its answer held no list of records under {self._under!r}") from None

    def _read_by_column(self, body: bytes) -> Rows:
        records = self._records(body)
        came = [field.name for field in records.type] if self._undeclared is None else self._undeclared
        undeclared = tuple(name for name in came if name not in self._known)
        columns = {
            column.name: pc.cast(_field(records, self._paths[column.name]), arrow_type(column.type))
            for column in self._plain
        }
        if not self._shaped and not undeclared:
            return Rows(columns, pa.nulls(len(records), pa.string()))
        written = self._as_written(body, undeclared)
        for column, values in zip(self._shaped, written, strict=False):
            columns[column.name] = _held(values, column.type)
        if not undeclared:
            return Rows(columns, pa.nulls(len(records), pa.string()))
        by_record = zip(*written[len(self._shaped) :], strict=True)
        return Rows(columns, rescued_json([_present(undeclared, values) for values in by_record]))

    def _records(self, body: bytes) -> pa.StructArray:
        """The records, with their plain columns in the declared types."""
        # One block, since a whole page is one row to Arrow.
        options = pa_json.ReadOptions(use_threads=False, block_size=len(body) + 1)
        page = pa_json.read_json(pa.BufferReader(body), options, self._as_declared)
        listed = page.column(self._under).combine_chunks()
        if len(listed) != 1 or listed.null_count or not len(listed.values):
            raise pa.ArrowInvalid(f"not one page with records under {self._under}")
        # Arrow has taken any bytes for text so far.
        listed.values.validate(full=True)
        return listed.values

    def _as_written(self, body: bytes, undeclared: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """What Arrow can't hold as the source wrote it, field by field."""
        if undeclared not in self._decoders:
            record = msgspec.defstruct(
                "Record",
                [(column.name, _written(column.type), _absent(column.type)) for column in self._shaped]
                + [(name, Any, None) for name in undeclared],
                gc=False,
            )
            self._decoders[undeclared] = msgspec.json.Decoder(
                _page(self._under, record), float_hook=exact_number
            )
        page = self._decoders[undeclared].decode(body)
        return list(zip(*map(astuple, getattr(page, self._under)), strict=True))

    def _read_exactly(self, records: list[dict[str, msgspec.Raw]]) -> Rows:
        rescues: Rescues = defaultdict(dict)
        columns = {
            column.name: _fitting([self._raw(record, column) for record in records], column, rescues)
            for column in self._columns
        }
        for place, record in enumerate(records):
            for name, raw in record.items():
                if name not in self._known and (value := _ANY.decode(raw)) is not None:
                    rescues[place][name] = value
        return Rows(columns, rescued_of(rescues, len(records)))

    def _raw(self, record: Mapping[str, msgspec.Raw], column: Column) -> msgspec.Raw:
        """A column's value as it is written, numbers without the quotes that this source puts around them."""
        *outer, last = self._paths[column.name]
        for name in outer:
            try:
                record = _OBJECT.decode(record.get(name, _NULL)) or {}
            except msgspec.ValidationError:
                return _NULL
        raw = record.get(last, _NULL)
        if column.type.kind in self._as_text and bytes(raw).startswith(b'"'):
            text = msgspec.json.decode(raw, type=str)
            return msgspec.Raw(text.encode()) if _NUMBER.fullmatch(text) else raw
        return raw

    def _in_json(self, declared: DataType) -> pa.DataType:
        """How Arrow reads a plain type: a moment is text to it, since it knows fewer ways to write one there."""
        is_text = declared.kind in self._as_text or declared.kind in ("date", "timestamp")
        return pa.string() if is_text else arrow_type(declared)


def _record(fields: Iterable[tuple[Path, pa.DataType]]) -> pa.DataType:
    """The shape of a record whose values lie at these places."""
    by_name: dict[str, list[tuple[Path, pa.DataType]]] = {}
    for path, type_ in fields:
        by_name.setdefault(path[0], []).append((path[1:], type_))
    return pa.struct(
        [(name, _record(inner) if inner[0][0] else inner[0][1]) for name, inner in by_name.items()]
    )


def _field(records: pa.StructArray, path: Path) -> pa.Array:
    return records.field(path[0]) if len(path) == 1 else pc.struct_field(records, list(path))


def rows_from_text(
    texts: pa.Table,
    columns: Sequence[Column],
    undeclared: Sequence[str],
    meant: Callable[[str, str], Any],
    misfits: Mapping[str, pa.Array] = MappingProxyType({}),
) -> Rows:
    """Columns of text (a CSV) in the declared types; a JSON column's text is its JSON.

    `meant(field, text)` is the value that the source would give for it in a JSON page: what is rescued is
    then the same whichever way it was read. `misfits` are the texts that are known already to fit no type.
    """
    rescues: Rescues = defaultdict(dict)
    held = {}
    for column in columns:
        held[column.name] = _from_text(texts.column(column.name).combine_chunks(), column, rescues, meant)
    for name, kept in [*misfits.items(), *((name, texts.column(name)) for name in undeclared)]:
        if kept.null_count < len(kept):
            for place, text in enumerate(kept.to_pylist()):
                if text is not None:
                    rescues[place][name] = meant(name, text)
    return Rows(held, rescued_of(rescues, texts.num_rows))


def _from_text(
    texts: pa.Array, column: Column, rescues: Rescues, meant: Callable[[str, str], Any]
) -> pa.Array:
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), arrow_type(column.type))
    if column.type.kind == "json":
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


def _fitting(raws: Sequence[msgspec.Raw], column: Column, rescues: Rescues) -> pa.Array:
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
        return _texts([b"" if raw == b"null" else raw for raw in map(bytes, values)])
    if declared.kind in ("date", "timestamp"):
        return pc.cast(pa.array(values, pa.string()), arrow_type(declared))
    return pa.array(values, arrow_type(declared))


def _texts(written: Sequence[bytes]) -> pa.Array:
    """Pieces of JSON as texts, null where a piece is empty: put together by hand in a third of `pa.array`'s time."""
    ends = np.fromiter(accumulate(map(len, written), initial=0), np.int32, len(written) + 1)
    present = np.packbits(np.diff(ends) > 0, bitorder="little")
    texts = pa.StringArray.from_buffers(
        len(written), pa.py_buffer(ends), pa.py_buffer(b"".join(written)), pa.py_buffer(present)
    )
    texts.validate(full=True)
    return texts


def rescued_of(rescues: Mapping[int, Rescue], number: int) -> pa.Array:
    """The rescues of so many rows, most of which have none."""
    if not rescues:
        return pa.nulls(number, pa.string())
    return rescued_json([rescues.get(place, {}) for place in range(number)])


def rescued_json(rescues: Sequence[Rescue]) -> pa.Array:
    return pa.array([_ENCODER.encode(rescue).decode() if rescue else None for rescue in rescues], pa.string())


def _written(declared: DataType) -> Any:
    if declared.of and declared.of.kind == "decimal":
        return list[Decimal | None] | None
    return _WRITTEN.get(declared.kind, str | None)


def _present(names: Sequence[str], values: Sequence[Any]) -> Rescue:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _absent(declared: DataType) -> Any:
    return _NULL if declared.kind == "json" else None


def _page(under: str, record: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Page", [(under, list[record])], gc=False)
