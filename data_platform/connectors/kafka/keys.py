"""What the key of a message says: as text, and as the value of the column that it is.

A key is read by its schema where it names one that the registry knows and follows it to its last byte; any other that
begins with a zero byte is bytes, as a number's may. A key of its own is text, or JSON: an object, or a text in quotes.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import fastavro
import msgspec
import pyarrow as pa

from data_platform.connectors.kafka.avro import UnknownSchema, parsed
from data_platform.connectors.kafka.registry import FRAME, FRAMED, Registry
from data_platform.connectors.records import ENCODER


class NotRead(Exception):
    """A key that is not read by a schema."""


class Keys:
    """Reads the keys of one topic's messages."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._readers: dict[int, Callable[[bytes], Any]] = {}

    def texts(self, keys: Sequence[bytes | None]) -> pa.Array:
        if not any(key is not None and key[:1] == FRAMED for key in keys):
            return _texts_of(keys)
        return pa.array([None if key is None else self._text(key) for key in keys], pa.string())

    def value_of(self, column: str, key: bytes) -> str | None:
        """What it says of the column: the object's field of that name, or else all that it says."""
        try:
            said = self._by_schema(key)
        except NotRead:
            said = _by_itself(key)
        if isinstance(said, Mapping):
            said = said.get(column)
        return None if said is None else _as_text(said)

    def _text(self, key: bytes) -> str:
        try:
            return _as_text(self._by_schema(key))
        except NotRead:
            # No text begins with a zero byte.
            return _as_hexadecimal(key) if key[:1] == FRAMED else text_of(key)

    def _by_schema(self, key: bytes) -> Any:
        if key[:1] != FRAMED or len(key) < FRAME or not self._registry.has_address:
            raise NotRead
        number = int.from_bytes(key[1:FRAME], "big")
        if number not in self._readers:
            schema = self._registry.schema(number)
            if schema is None:
                # It may be known later, so nothing is remembered here.
                raise NotRead
            self._readers[number] = _reader(schema, self._registry)
        return self._readers[number](key[FRAME:])


def _reader(schema: Mapping[str, Any], registry: Registry) -> Callable[[bytes], Any]:
    match schema.get("schemaType", "AVRO"):
        case "JSON":
            return _by_itself
        case "AVRO":
            try:
                return _avro_reader(parsed(schema, registry.version))
            except UnknownSchema:
                return _none_reads
        case _:
            return _none_reads


def _avro_reader(schema: Any) -> Callable[[bytes], Any]:
    def read(body: bytes) -> Any:
        stream = BytesIO(body)
        try:
            said = fastavro.schemaless_reader(stream, schema, None)
        # A body of other bytes can break any promise that the reader makes of them.
        except Exception:
            raise NotRead from None
        if stream.tell() != len(body):
            raise NotRead
        return said

    return read


def _none_reads(_body: bytes) -> Any:
    raise NotRead


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


def _texts_of(pieces: Sequence[bytes | None]) -> pa.Array:
    held = pa.array(pieces, pa.binary())
    try:
        return held.cast(pa.string())
    except pa.ArrowException:
        return pa.array([None if piece is None else text_of(piece) for piece in pieces], pa.string())


def text_of(piece: bytes) -> str:
    """Bytes as text; those that are none in hexadecimal."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return _as_hexadecimal(piece)


def _as_hexadecimal(piece: bytes) -> str:
    return "\\x" + piece.hex()
