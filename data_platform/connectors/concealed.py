"""Fields that must never be stored: what a declaration lets land of them, and keeping them out of everything else.

The connector passes here before it hands anything over. Where a table conceals a field, every other text that is kept
of its records (rescued values, headers, keys, what could not be decoded) loses long numbers too: a producer may send
the same one under another name.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.base import SourceError
from data_platform.connectors.records import ENCODER, Rows
from data_platform.declarations import STRING, Column, Mask, SourceTable
from data_platform.settings import Settings

TOKEN_LENGTH = 32
# The digits of a card number, as people and programs write them.
_NUMBER = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_NUMBER_IN_BYTES = re.compile(rb"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


class Concealing:
    """What is done for one table; nothing where it conceals no field."""

    def __init__(self, table: SourceTable, settings: Settings) -> None:
        self._made = [column for column in table.columns if column.lands]
        self._fields = sorted({column.lands.field for column in self._made if column.lands})
        self._kept = [column for column in table.columns if not column.lands]
        if self._made and settings.token_key is None:
            raise SourceError(
                f"{table.system}.{table.name} keeps tokens of {', '.join(self._fields)}, and TOKEN_KEY is not set; set "
                "it to a long random text, the same wherever the platform runs"
            )
        self._key = settings.token_key.get_secret_value().encode() if settings.token_key else b""

    @property
    def conceals(self) -> bool:
        return bool(self._made)

    @property
    def read_as(self) -> list[Column]:
        """The columns as the source has them: each concealed field in the place of what is made of it."""
        return [*self._kept, *(Column(field, STRING) for field in self._fields)]

    def rows(self, rows: Rows) -> Rows:
        """Without the fields, and with what may land of them."""
        if not self._made:
            return rows
        values = {field: self._texts(rows, field) for field in self._fields}
        columns = {name: array for name, array in rows.columns.items() if name not in values}
        for column in self._made:
            assert column.lands is not None  # noqa: S101 - of the columns that land so
            make = self._token if column.lands.by is Mask.TOKEN else _last_four
            columns[column.name] = _of_each(values[column.lands.field], make)
        return Rows(columns, self._scrubbed(rows.rescued))

    def text(self, texts: pa.Array) -> pa.Array:
        """Other texts of the record, without what may be such a number."""
        return _of_each(texts, scrubbed) if self._made else texts

    def body(self, body: bytes) -> bytes:
        if not self._made:
            return body
        return _NUMBER_IN_BYTES.sub(lambda found: _starred(found[0].decode()).encode(), body)

    def _texts(self, rows: Rows, field: str) -> pa.Array:
        """The field's values; a number that a producer sent as a number was rescued, and is one all the same."""
        held = rows.columns.get(field, pa.nulls(len(rows), pa.string()))
        if rows.rescued.null_count == len(rows):
            return held
        texts = held.to_pylist()
        for place, rescued in enumerate(rows.rescued.to_pylist()):
            if rescued and (value := msgspec.json.decode(rescued).get(field)) is not None:
                texts[place] = str(value)
        return pa.array(texts, pa.string())

    def _scrubbed(self, rescued: pa.Array) -> pa.Array:
        def without(text: str) -> str | None:
            kept = {
                name: _inner(value)
                for name, value in msgspec.json.decode(text).items()
                if name not in self._fields
            }
            return ENCODER.encode(kept).decode() if kept else None

        return _of_each(rescued, without)

    def _token(self, value: str) -> str:
        plain = re.sub(r"[ -]", "", value)
        return hmac.digest(self._key, plain.encode(), "sha256").hex()[:TOKEN_LENGTH]


def scrubbed(text: str) -> str:
    """A text in which long numbers are stars, but for their last four digits."""
    return _NUMBER.sub(lambda found: _starred(found[0]), text)


def _starred(number: str) -> str:
    return "*" * (len(number) - 4) + number[-4:]


def _last_four(value: str) -> str:
    return re.sub(r"\D", "", value)[-4:]


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return {scrubbed(name): _inner(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_inner(each) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    text = str(value)
    return hidden if (hidden := scrubbed(text)) != text else value


def _of_each(texts: pa.Array, make: Callable[[str], str | None]) -> pa.Array:
    """What is made of each text, once where many are the same."""
    if texts.null_count == len(texts):
        return texts.cast(pa.string())
    encoded = pc.dictionary_encode(texts)
    made: Sequence[str | None] = [make(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(made, pa.string()).take(encoded.indices)
