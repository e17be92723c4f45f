"""What a page of messages says, as rows: each value decoded as it tells itself to be written, many at a time.

A value that begins with a zero byte names its schema in the registry (Confluent's framing), and is Avro, or JSON with
a schema; any other is JSON. What can be decoded in no way is refused with its reason, and the others go on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.http import Unreadable
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.kafka.avro import AvroValues, UnknownSchema
from data_platform.connectors.kafka.keys import Keys
from data_platform.connectors.kafka.registry import FRAME, FRAMED, Registry
from data_platform.connectors.records import Rows
from data_platform.declarations import SourceTable, Stream
from data_platform.lake.schema import arrow_type, connector_schema

# What stands in the place of a schema's id.
_DELETION, _BY_ITSELF, _CUT = -1, -2, -3

_WHOLE = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Decoded:
    """Rows, and for each the place of its message in the page; `refused` says why by place."""

    rows: Rows
    places: np.ndarray
    is_deletion: np.ndarray
    refused: Mapping[int, str]


@dataclass(frozen=True)
class _Some:
    """The rows of those messages of a page that are written alike."""

    rows: Rows
    places: np.ndarray
    is_deletion: bool = False


class Values:
    """Reads the messages of one table's topic."""

    def __init__(self, table: SourceTable, registry: Registry) -> None:
        self._table = table
        self._registry = registry
        self._columns = table.columns
        self._pages = JsonPages(self._columns, under="m", ignored=table.ignores)
        self._readers: dict[int, AvroValues | JsonPages | str] = {}
        load = table.load
        self.keys = Keys(registry)
        self._key = load.messages.key if isinstance(load, Stream) and load.messages else ""

    def read(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Decoded:
        kinds = np.array([_kind(value) for value in values], np.int64)
        refused: dict[int, str] = {}
        some = [part for kind in np.unique(kinds).tolist()
                for part in self._alike(kind, np.flatnonzero(kinds == kind), keys, values, refused)]  # fmt: skip
        return Decoded(
            self._together([part.rows for part in some]),
            np.concatenate([np.empty(0, np.int64), *(part.places for part in some)]),
            np.concatenate([np.empty(0, np.bool_), *(np.full(len(p.places), p.is_deletion) for p in some)]),
            refused,
        )

    def _alike(
        self,
        kind: int,
        places: np.ndarray,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        refused: dict[int, str],
    ) -> Iterator[_Some]:
        if kind == _DELETION:
            rows, why = self._deletions([keys[place] for place in places])
        elif kind == _CUT:
            rows, why = None, dict.fromkeys(range(len(places)), "it ends before the id of its schema")
        else:
            reader = self._pages if kind == _BY_ITSELF else self._reader(kind)
            skipped = 0 if kind == _BY_ITSELF else FRAME
            bodies = [values[place][skipped:] for place in places]
            rows, why = _read(reader, bodies)
        refused.update((int(places[at]), reason) for at, reason in why.items())
        if rows is not None and len(rows):
            yield _Some(rows, np.delete(places, list(why)), kind == _DELETION)

    def _reader(self, number: int) -> AvroValues | JsonPages | str:
        """What reads the values of a schema, or why none can."""
        if number in self._readers:
            return self._readers[number]
        schema = self._registry.schema(number)
        if schema is None:
            # It may be known later, so nothing is remembered here.
            return f"the registry knows no schema {number}"
        self._readers[number] = self._made(number, schema)
        return self._readers[number]

    def _made(self, number: int, schema: Mapping[str, Any]) -> AvroValues | JsonPages | str:
        match schema.get("schemaType", "AVRO"):
            case "AVRO":
                try:
                    return AvroValues(schema, self._columns, self._table.ignores, self._registry.version)
                except UnknownSchema as error:
                    return f"its schema {number} can't be used ({error})"
            case "JSON":
                return self._pages
            case kind:
                return f"its schema {number} is of type {kind}, which is not read"

    def _deletions(self, keys: Sequence[bytes | None]) -> tuple[Rows | None, dict[int, str]]:
        """Messages without a value: rows that know nothing but which row is gone."""
        if not self._key:
            why = "it has no value, and its key is no column of the table by which a row could be deleted"
            return None, dict.fromkeys(range(len(keys)), why)
        type_ = arrow_type(self._table.by_name[self._key].type)
        refused: dict[int, str] = {}
        found = []
        for place, key in enumerate(keys):
            try:
                said = self.keys.value_of(self._key, key) if key is not None else None
                if said is None:
                    raise pa.ArrowInvalid
                found.append(pa.scalar(said).cast(type_).as_py())
            except (UnicodeDecodeError, pa.ArrowException):
                refused[place] = f"it has no value, and its key is no {self._key}"
        return Rows({self._key: pa.array(found, type_)}, pa.nulls(len(found), pa.string())), refused

    def _together(self, parts: Sequence[Rows]) -> Rows:
        if len(parts) == 1:
            return parts[0]
        schema = connector_schema(self._table)
        names = {name for part in parts for name in part.columns}
        types = {column.name: arrow_type(column.type) for column in self._columns}
        columns = {
            name: pa.chunked_array(
                [part.columns.get(name, pa.nulls(len(part), types[name])) for part in parts], types[name]
            ).combine_chunks()
            for name in names
        }
        rescued = [part.rescued for part in parts]
        return Rows(columns, pa.chunked_array(rescued, schema.field("_rescued").type).combine_chunks())


def _kind(value: bytes | None) -> int:
    if value is None:
        return _DELETION
    if value[:1] != FRAMED:
        return _BY_ITSELF
    return int.from_bytes(value[1:FRAME], "big") if len(value) >= FRAME else _CUT


def _read(
    reader: AvroValues | JsonPages | str, bodies: Sequence[bytes]
) -> tuple[Rows | None, dict[int, str]]:
    if isinstance(reader, str):
        return None, dict.fromkeys(range(len(bodies)), reader)
    if isinstance(reader, AvroValues):
        return reader.read(bodies)
    return _read_json(reader, bodies)


def _read_json(pages: JsonPages, bodies: Sequence[bytes]) -> tuple[Rows | None, dict[int, str]]:
    """All as one page. Each is looked at alone before, or two broken halves would make one that is whole."""
    try:
        for body in bodies:
            _WHOLE.decode(body)
        return pages.read(_page(bodies)), {}
    except (msgspec.DecodeError, RecursionError, Unreadable):
        pass
    refused = {place: why for place, body in enumerate(bodies) if (why := _why_no_object(pages, body))}
    whole = [body for place, body in enumerate(bodies) if place not in refused]
    return (pages.read(_page(whole)) if whole else None), refused


def _page(bodies: Sequence[bytes]) -> bytes:
    return b'{"m":[' + b",".join(bodies) + b"]}"


def _why_no_object(pages: JsonPages, body: bytes) -> str | None:
    try:
        body.decode()
        _WHOLE.decode(body)
        _OBJECT.decode(body)
        pages.read(_page([body]))
    except UnicodeDecodeError:
        return "its text is not UTF-8"
    except msgspec.ValidationError:
        return "it is JSON, and no object"
    except (msgspec.DecodeError, RecursionError, Unreadable):
        return "it is no JSON"
    return None


def origins(topic: str, era: int, partitions: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Where each message is found again: `topic/partition/offset`, and which topic of that name it was."""
    parts = [topic, pa.array(partitions).cast(pa.string()), pa.array(offsets).cast(pa.string())]
    if era > 1:
        parts.append(f"era {era}")
    return pc.binary_join_element_wise(*parts, "/")
