"""Values in Avro, by the schema that they were written with, as rows of the declared columns.

The writer's fields that are not declared go to `_rescued`, declared ones that it lacks are null, and what does not fit
its declared type is rescued as it is everywhere. Records of plain values are decoded many at a time
(`avro_columns.py`), others one by one; moments are converted by column all the same.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, Final

import fastavro
import msgspec
import numpy as np
import pyarrow as pa
from fastavro.schema import SchemaParseException, UnknownType

from data_platform.connectors.columnar import rows_from_columns
from data_platform.connectors.kafka.avro_columns import KINDS, PlainField, columns_of
from data_platform.connectors.records import ENCODER, NULL, Rescue, Rescues, Rows, fitted, fitting, rescued_of
from data_platform.declarations import Column

_PLAIN: Final = {
    "string": pa.string(),
    "enum": pa.string(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "null": pa.null(),
}
_MOMENTS: Final = {
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
    "date": pa.date32(),
}
# Kinds that Arrow's own types become without a guess.
_FITS: Final = {
    "string": {"string"},
    "bigint": {"bigint", "double", "decimal"},
    "double": {"double", "decimal"},
    "boolean": {"boolean"},
    "moment": {"timestamp", "date"},
    "decimal": {"decimal", "bigint", "double"},
    "binary": {"binary"},
}


class UnknownSchema(Exception):
    """A schema that can't be made sense of."""


class Undecodable(Exception):
    """A body that does not say what its schema describes."""


@dataclass(frozen=True)
class _Field:
    """A field of the writer's: its type in Arrow where it is a plain one."""

    name: str
    type: pa.DataType | None
    kind: str

    def fits(self, column: Column) -> bool:
        return column.type.kind in _FITS.get(self.kind, ())


class AvroValues:
    """Reads the values that one schema wrote."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        columns: Sequence[Column],
        ignored: Sequence[str],
        referred: Callable[[str, int], Mapping[str, Any] | None],
    ) -> None:
        written, self._schema = parsed(schema, referred, _without_moments)
        if not isinstance(written, dict) or written.get("type") != "record":
            raise UnknownSchema("it is no record")
        fields = [_field(field) for field in written["fields"]]
        by_name = {column.name: column for column in columns}
        self._declared = [(f, by_name[f.name]) for f in fields if f.name in by_name]
        self._undeclared = [f for f in fields if f.name not in by_name and f.name not in ignored]
        plain = [_plain_field(field) for field in written["fields"]]
        fit = all(field.fits(column) for field, column in self._declared)
        self._plain = [field for field in plain if field] if fit and all(plain) else []

    def read(self, bodies: Sequence[bytes]) -> tuple[Rows, dict[int, str]]:
        """The rows of those that can be decoded, and why the others can't, by their place."""
        if self._plain:
            with suppress(pa.ArrowException):
                held, bad = columns_of(bodies, self._plain)
                places = np.flatnonzero(bad).tolist()
                _, refused = self._one_by_one([bodies[place] for place in places])
                # Who reads one by one has the last word.
                if len(refused) == len(places):
                    return self._as_declared(held), dict(zip(places, refused.values(), strict=True))
        records, refused = self._one_by_one(bodies)
        return self._rows(records), refused

    def _as_declared(self, held: pa.RecordBatch) -> Rows:
        columns = [column for _, column in self._declared]
        return rows_from_columns(held, columns, [field.name for field in self._undeclared])

    def _one_by_one(self, bodies: Sequence[bytes]) -> tuple[list[dict[str, Any]], dict[int, str]]:
        records: list[dict[str, Any]] = []
        refused: dict[int, str] = {}
        for place, body in enumerate(bodies):
            try:
                records.append(decoded(body, self._schema))
            except Undecodable as reason:
                refused[place] = str(reason)
        return records, refused

    def _rows(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        arrays: dict[str, pa.Array] = {}
        rescues: Rescues = defaultdict(dict)
        shaped: dict[str, pa.Array] = {}
        for field, column in self._declared:
            values = [record[field.name] for record in records]
            if field.type is not None and field.fits(column):
                # One that its own schema has no room for is rescued.
                array, misfits = fitted(values, partial(_array, type_=field.type))
                arrays[field.name] = array
                for place in misfits:
                    rescues[place][field.name] = values[place]
            else:
                raws = [msgspec.Raw(ENCODER.encode(v)) if v is not None else NULL for v in values]
                shaped[field.name] = fitting(raws, column, rescues)
        for field in self._undeclared:
            for place, record in enumerate(records):
                if (value := record[field.name]) is not None:
                    rescues[place][field.name] = _as_read(value, field)
        held = pa.RecordBatch.from_pydict(arrays) if arrays else _of_nothing(len(records))
        plain = [column for field, column in self._declared if field.name in arrays]
        rows = rows_from_columns(held, plain, ())
        return Rows({**rows.columns, **shaped}, _merged(rows.rescued, rescues, len(records)))


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_date(type_):
        return pa.array(values, pa.int32()).cast(type_)
    return pa.array(values, type_)


def _as_read(value: Any, field: _Field) -> Any:
    """A moment is a number until here."""
    if field.kind == "moment" and isinstance(value, int) and field.type is not None:
        return _array([value], field.type).to_pylist()[0]
    return value


def _merged(rescued: pa.Array, more: Mapping[int, Rescue], number: int) -> pa.Array:
    if rescued.null_count == len(rescued):
        return rescued_of(more, number)
    both: dict[int, Rescue] = {
        place: msgspec.json.decode(said) for place, said in enumerate(rescued.to_pylist()) if said
    }
    for place, said in more.items():
        both[place] = {**both.get(place, {}), **said}
    return rescued_of(both, number)


def _of_nothing(number: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * number, pa.struct([])))


def _field(field: Mapping[str, Any]) -> _Field:
    written = field["type"]
    if isinstance(written, list):
        others = [branch for branch in written if branch != "null"]
        written = others[0] if len(others) == 1 else {"type": "union"}
    said = written if isinstance(written, dict) else {"type": written}
    type_, kind = _plain_type(said)
    return _Field(field["name"], type_, kind)


def _plain_field(field: Mapping[str, Any]) -> PlainField | None:
    """How it is read many at a time; None where it is no plain value, or one of several kinds."""
    written, branch = field["type"], None
    if isinstance(written, list):
        if len(written) != 2 or "null" not in written:
            return None
        branch = 1 - written.index("null")
        written = written[branch]
    said = written if isinstance(written, dict) else {"type": written}
    type_, kind = _plain_type(said)
    as_written = "decimal" if kind == "decimal" else said["type"]
    if type_ is None or as_written not in KINDS:
        return None
    return PlainField(
        field["name"], as_written, type_, branch, tuple(said.get("symbols", ())), said.get("size", 0)
    )


def _plain_type(said: Mapping[str, Any]) -> tuple[pa.DataType | None, str]:
    logical = said.get("logicalType")
    if logical in _MOMENTS:
        return _MOMENTS[logical], "moment"
    if logical == "decimal" and said["precision"] <= 38:
        return pa.decimal128(said["precision"], said.get("scale", 0)), "decimal"
    # A time of day, a duration: kept as what they are written as, which no declared type is.
    plain = _PLAIN.get(said["type"]) if isinstance(said["type"], str) else None
    if plain is None or logical in ("decimal", "uuid", "time-millis", "time-micros", "duration"):
        return (pa.string(), "string") if logical == "uuid" and said["type"] == "string" else (None, "shaped")
    names = {pa.string(): "string", pa.int64(): "bigint", pa.float64(): "double", pa.bool_(): "boolean"}
    return plain, names.get(plain, "binary" if plain == pa.binary() else "shaped")


def _without_moments(schema: Any) -> Any:
    """The same schema, by which the record's own moments are read as the numbers that they are: a column of them is
    one cast."""
    if not isinstance(schema, dict) or "fields" not in schema:
        return schema
    fields = [{**field, "type": _number_of(field["type"])} for field in schema["fields"]]
    return {**schema, "fields": fields}


def _number_of(written: Any) -> Any:
    if isinstance(written, list):
        return [_number_of(branch) for branch in written]
    if isinstance(written, dict) and written.get("logicalType") in _MOMENTS:
        return {name: value for name, value in written.items() if name != "logicalType"}
    return written


def decoded(body: bytes, schema: Any) -> Any:
    """What the body says by its schema, to its last byte."""
    stream = BytesIO(body)
    try:
        said = fastavro.schemaless_reader(stream, schema, None)
    # A body of other bytes can break any promise that the reader makes of them.
    except Exception as error:
        raise Undecodable(f"it does not follow its schema ({type(error).__name__})") from None
    if stream.tell() != len(body):
        raise Undecodable("it goes on behind what its schema describes")
    return said


def parsed(
    schema: Mapping[str, Any],
    referred: Callable[[str, int], Mapping[str, Any] | None],
    shaped: Callable[[Any], Any] = lambda written: written,
) -> tuple[Any, Any]:
    """The schema as it is written, and as its reader wants it, with the types of those that it refers to."""
    try:
        named: dict[str, Any] = {}
        _parse_references(schema, named, set(), referred)
        written = json.loads(schema["schema"])
        return written, fastavro.parse_schema(shaped(written), named)
    except (ValueError, SchemaParseException, UnknownType) as error:
        raise UnknownSchema(f"{type(error).__name__}") from None


def _parse_references(
    schema: Mapping[str, Any],
    named: dict[str, Any],
    seen: set[tuple[str, int]],
    referred: Callable[[str, int], Mapping[str, Any] | None],
) -> None:
    for reference in schema.get("references") or ():
        place = (reference["subject"], reference["version"])
        # Two that are referred to may refer to the same one.
        if place in seen:
            continue
        seen.add(place)
        found = referred(*place)
        if found is None:
            raise UnknownSchema(f"it refers to {place[0]}, which the registry does not know")
        _parse_references(found, named, seen, referred)
        fastavro.parse_schema(json.loads(found["schema"]), named)
