"""Pages of JSON whose records become rows: by column, by record, or value by value, whichever a page allows."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
from msgspec.structs import astuple

from data_platform.connectors.http import Unreadable
from data_platform.connectors.records import (
    ANY,
    NULL,
    Rescue,
    Rescues,
    Rows,
    absent,
    exact_number,
    fitting,
    held,
    rescued_json,
    rescued_of,
    written,
)
from data_platform.declarations import Column, DataType
from data_platform.lake.schema import arrow_type

# What Arrow reads from JSON as exactly as we do.
_PLAIN: Final = frozenset({"string", "boolean", "bigint", "double", "decimal", "date", "timestamp"})
# A number as JSON writes one.
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

Path = tuple[str, ...]
Said = TypeVar("Said")

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
# A page that is not as it was expected is read in another way.
_OTHERWISE: Final = (msgspec.ValidationError, pa.ArrowException, OverflowError)


def said_beside_records(
    page: bytes, decoder: "msgspec.json.Decoder[Said]", is_all: Callable[[Said], object]
) -> Said:
    """What a page says beside its records, mostly without going through them: decoded without what stands between its
    first bracket and its last. With other lists in it that may be no JSON, or not all, and the whole is decoded."""
    with suppress(msgspec.DecodeError):
        said = decoder.decode(page[: page.find(b"[") + 1] + page[page.rfind(b"]") :])
        if is_all(said):
            return said
    return decoder.decode(page)


class JsonPages:
    """Reads pages of one shape: an object whose field `under` lists the records.

    Arrow reads the columns of a page whose values all fit, without holding up other threads; where most columns are
    inner objects, which Arrow would take apart, they are read record by record. Any other page is read value by value.
    `undeclared` are the fields that were asked for beside the declared ones (None: the source
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
        is_mostly_shaped = undeclared is None and not as_text and len(self._shaped) >= len(self._plain)
        self._by_record = (
            _ByRecord(columns, under, self._paths, ignored)
            if is_mostly_shaped and all(len(found) <= 2 for found in self._paths.values())
            else None
        )
        self._exact = msgspec.json.Decoder(_page(under, dict[str, msgspec.Raw]))
        self._decoders: dict[tuple[str, ...], msgspec.json.Decoder[Any]] = {}

    def read(self, body: bytes) -> Rows:
        try:
            if self._by_record:
                with suppress(*_OTHERWISE):
                    return self._by_record.read(body)
            try:
                return self._read_by_column(body)
            except _OTHERWISE:
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
        fields = self._as_written(body, undeclared)
        for column, values in zip(self._shaped, fields, strict=False):
            columns[column.name] = held(values, column.type)
        if not undeclared:
            return Rows(columns, pa.nulls(len(records), pa.string()))
        by_record = zip(*fields[len(self._shaped) :], strict=True)
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
                [(column.name, written(column.type), absent(column.type)) for column in self._shaped]
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
            column.name: fitting([self._raw(record, column) for record in records], column, rescues)
            for column in self._columns
        }
        for place, record in enumerate(records):
            for name, raw in record.items():
                if name not in self._known and (value := ANY.decode(raw)) is not None:
                    rescues[place][name] = value
        return Rows(columns, rescued_of(rescues, len(records)))

    def _raw(self, record: Mapping[str, msgspec.Raw], column: Column) -> msgspec.Raw:
        """A column's value as it is written, numbers without the quotes that this source puts around them."""
        *outer, last = self._paths[column.name]
        for name in outer:
            try:
                record = _OBJECT.decode(record.get(name, NULL)) or {}
            except msgspec.ValidationError:
                return NULL
        raw = record.get(last, NULL)
        if column.type.kind in self._as_text and bytes(raw).startswith(b'"'):
            text = msgspec.json.decode(raw, type=str)
            return msgspec.Raw(text.encode()) if _NUMBER.fullmatch(text) else raw
        return raw

    def _in_json(self, declared: DataType) -> pa.DataType:
        """How Arrow reads a plain type: a moment is text to it, since it knows fewer ways to write one there."""
        is_text = declared.kind in self._as_text or declared.kind in ("date", "timestamp")
        return pa.string() if is_text else arrow_type(declared)


class _ByRecord:
    """Records of the known fields and no others, each decoded in one go: inner objects stay as they are written."""

    def __init__(
        self, columns: Sequence[Column], under: str, paths: Mapping[str, Path], ignored: Sequence[str]
    ) -> None:
        self._columns = columns
        self._under = under
        self._paths = paths
        inner: dict[str, list[tuple[str, Any]]] = {}
        types: dict[str, Any] = dict.fromkeys(ignored, msgspec.Raw)
        for column in columns:
            first, *rest = paths[column.name]
            if rest:
                inner.setdefault(first, []).append((rest[0], written(column.type)))
            types.setdefault(first, msgspec.Raw if rest else written(column.type))
        # Where an inner object is a column as well, both read the same piece.
        types |= dict.fromkeys(inner, msgspec.Raw)
        self._names = list(types)
        defaults = [(name, kind, NULL if kind is msgspec.Raw else None) for name, kind in types.items()]
        self._page = msgspec.json.Decoder(_page(under, _struct(defaults, forbid_unknown_fields=True)))
        self._inner = {
            name: msgspec.json.Decoder(list[_struct([(each, kind, None) for each, kind in fields]) | None])  # type: ignore[misc]
            for name, fields in inner.items()
        }
        self._places = {name: [each for each, _ in fields] for name, fields in inner.items()}

    def read(self, body: bytes) -> Rows:
        records = getattr(self._page.decode(body), self._under)
        if not records:
            raise pa.ArrowInvalid("a page without records")
        by_field = {name: list(map(_field_at(place), records)) for place, name in enumerate(self._names)}
        for first, decoder in self._inner.items():
            # All at once: to decode them one by one takes three times as long.
            objects = decoder.decode(b"[" + b",".join(by_field[first]) + b"]")
            for place, name in enumerate(self._places[first]):
                value_of = _field_at(place)
                by_field[f"{first}.{name}"] = [each and value_of(each) for each in objects]
        columns = {
            column.name: held(by_field[".".join(self._paths[column.name])], column.type)
            for column in self._columns
        }
        return Rows(columns, pa.nulls(len(records), pa.string()))


def _struct(fields: Sequence[tuple[str, Any, Any]], **how: Any) -> Any:
    """A record of these fields, whatever characters their names have; `_field_at` gets at them."""
    named = [(f"field_{place}", kind, default) for place, (_, kind, default) in enumerate(fields)]
    rename = {f"field_{place}": name for place, (name, _, _) in enumerate(fields)}
    return msgspec.defstruct("Record", named, rename=rename, gc=False, **how)


def _field_at(place: int) -> Callable[[Any], Any]:
    return attrgetter(f"field_{place}")


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


def _present(names: Sequence[str], values: Sequence[Any]) -> Rescue:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _page(under: str, record: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Page", [(under, list[record])], gc=False)
