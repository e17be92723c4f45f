"""What the key of a message says: as text, and as the value of the column that it is.

A key is read by its schema where it names one that the registry knows and follows it to its last byte; any other that
begins with a zero byte is bytes, as a number's may. A key of its own is text, or JSON: an object, or a text in quotes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.kafka.avro import Undecodable, UnknownSchema, decoded, parsed
from data_platform.connectors.kafka.registry import FRAME, FRAMED, Registry
from data_platform.connectors.records import ENCODER

# Numbers, as keys, begin with a zero byte too, and seem to name a schema each. No topic's keys have so many.
MOST_UNKNOWN: Final = 16


class Keys:
    """Reads the keys of one topic's messages."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._readers: dict[int, Callable[[bytes], Any]] = {}
        self._unknown: set[int] = set()

    def texts(self, keys: Sequence[bytes | None]) -> pa.Array:
        held = pa.array(keys, pa.binary())
        if not pc.any(pc.starts_with(held, pattern=FRAMED)).as_py():
            with suppress(pa.ArrowException):
                return held.cast(pa.string())
        return pa.array([None if key is None else self._text(key) for key in keys], pa.string())

    def value_of(self, column: str, key: bytes) -> str | None:
        """What it says of the column: the object's field of that name, or else all that it says."""
        try:
            said = self._by_schema(key)
        except Undecodable:
            said = _by_itself(key)
        if isinstance(said, Mapping):
            said = said.get(column)
        return None if said is None else _as_text(said)

    def _text(self, key: bytes) -> str:
        try:
            return _as_text(self._by_schema(key))
        except Undecodable:
            # No text begins with a zero byte.
            return _as_hexadecimal(key) if key[:1] == FRAMED else text_of(key)

    def _by_schema(self, key: bytes) -> Any:
        if key[:1] != FRAMED or len(key) < FRAME or not self._registry.has_address:
            raise Undecodable("it names no schema")
        number = int.from_bytes(key[1:FRAME], "big")
        if number not in self._readers:
            self._readers[number] = self._reader(number)
        return self._readers[number](key[FRAME:])

    def _reader(self, number: int) -> Callable[[bytes], Any]:
        if number in self._unknown or len(self._unknown) >= MOST_UNKNOWN:
            raise Undecodable("its schema is unknown")
        schema = self._registry.schema(number)
        if schema is None:
            self._unknown.add(number)
            raise Undecodable("its schema is unknown")
        return _reader_by(schema, self._registry)


def _reader_by(schema: Mapping[str, Any], registry: Registry) -> Callable[[bytes], Any]:
    match schema.get("schemaType", "AVRO"):
        case "JSON":
            return _json_reader
        case "AVRO":
            try:
                return partial(decoded, schema=parsed(schema, registry.version)[1])
            except UnknownSchema:
                return _none_reads
        case _:
            return _none_reads


def _json_reader(body: bytes) -> Any:
    try:
        return _by_itself(body)
    except UnicodeDecodeError:
        raise Undecodable("it is no text") from None


def _none_reads(_body: bytes) -> Any:
    raise Undecodable("nothing reads its schema")


def _by_itself(key: bytes) -> Any:
    text = key.decode()
    if text[:1] in ("{", '"'):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _as_text(said: Any) -> str:
    return said if isinstance(said, str) else ENCODER.encode(said).decode().strip('"')


def text_of(piece: bytes) -> str:
    """Bytes as text; those that are none in hexadecimal."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return _as_hexadecimal(piece)


def _as_hexadecimal(piece: bytes) -> str:
    return "\\x" + piece.hex()
