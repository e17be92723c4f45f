"""Fields that must never be stored: what a declaration lets land of them, and keeping them out of everything else.

What any connector hands over passes here before it reaches the loader. Where a table conceals a field, every other
text that is kept of its records (rescued values, headers, keys, what could not be decoded) loses long numbers too: a
producer may send the same one under another name.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.base import Batch, Connector, Landed, Offer, Part, SourceError, Windowed
from data_platform.connectors.records import ENCODER, Rows
from data_platform.declarations import STRING, Column, Mask, SourceTable
from data_platform.lake.schema import connector_schema
from data_platform.settings import Settings

TOKEN_LENGTH = 32
# What a message says beside its value.
_BESIDE = ("_headers", "_message_key")
# The digits of a card number, as people and programs write them.
# A uuid's groups can be digits too, and are none of these.
_NUMBER = re.compile(
    r"(?<!\d)\d{13,19}(?!\d)"
    r"|(?<![0-9A-Za-z])(?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5})(?![0-9A-Za-z])"
)
_NUMBER_IN_BYTES = re.compile(_NUMBER.pattern.encode())


class Concealing:
    """What is done for one table that conceals fields."""

    def __init__(self, table: SourceTable, settings: Settings) -> None:
        self._made = [column for column in table.columns if column.lands]
        self._fields = sorted({column.lands.field for column in self._made if column.lands})
        self._kept = [column for column in table.columns if not column.lands]
        if settings.token_key is None:
            raise SourceError(
                f"{table.system}.{table.name} keeps tokens of {', '.join(self._fields)}, and TOKEN_KEY is not set; set "
                "it to a long random text, the same wherever the platform runs"
            )
        self._key = settings.token_key.get_secret_value().encode()

    @property
    def read_as(self) -> list[Column]:
        """The columns as the source has them: each concealed field in the place of what is made of it."""
        return [*self._kept, *(Column(field, STRING) for field in self._fields)]

    def rows(self, rows: Rows) -> Rows:
        """Without the fields, and with what may land of them."""
        values = {field: self._texts(rows, field) for field in self._fields}
        columns = {name: array for name, array in rows.columns.items() if name not in values}
        for column in self._made:
            assert column.lands is not None  # noqa: S101 - of the columns that land so
            make = self._token if column.lands.by is Mask.TOKEN else _last_four
            columns[column.name] = _of_each(values[column.lands.field], make)
        return Rows(columns, self._scrubbed(rows.rescued))

    def batch(self, table: SourceTable, batch: Batch) -> Batch:
        """A batch that was read by `read_as`, as it may land."""
        read = batch.rows
        rows = self.rows(
            Rows({name: read.column(name) for name in read.schema.names}, read.column("_rescued"))
        )
        beside = {"_rescued": rows.rescued} | {
            name: self.text(read.column(name)) for name in _BESIDE if name in read.schema.names
        }
        schema = connector_schema(table)
        columns = [beside.get(field.name, rows.columns.get(field.name)) for field in schema]
        rejected = [replace(record, body=self.body(record.body)) for record in batch.rejected]
        return replace(batch, rows=pa.RecordBatch.from_arrays(columns, schema=schema), rejected=rejected)

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns, with what is made of a field in its place."""
        made = {
            field: [c.name for c in self._made if c.lands and c.lands.field == field]
            for field in self._fields
        }
        return tuple(name for column in columns for name in made.get(column, [column]))

    def text(self, texts: pa.Array) -> pa.Array:
        """Other texts of the record, without what may be such a number."""
        return _of_each(texts, scrubbed)

    def body(self, body: bytes) -> bytes:
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


def concealing(table: SourceTable, connector: Connector, settings: Settings) -> Connector:
    """The connector, seen to hand over nothing of the table's that is to be concealed."""
    if not any(column.lands for column in table.columns):
        return connector
    what = Concealing(table, settings)
    return _ConcealedDays(what, connector) if isinstance(connector, Windowed) else _Concealed(what, connector)


class _Concealed:
    """A connector that reads the table with the fields in the place of what is made of them."""

    def __init__(self, concealing: Concealing, connector: Any) -> None:
        self._concealing = concealing
        self._connector = connector

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return self._concealed(table, self._connector.offer(self._as_read(table), landed))

    def _as_read(self, table: SourceTable) -> SourceTable:
        """Rules judge what lands, and may name what is made of a field."""
        return replace(table, columns=tuple(self._concealing.read_as), rules=())

    def _concealed(self, table: SourceTable, offer: Offer) -> Offer:
        # The connector may hold on to its offer, and tell it more while it is read.
        offer.parts = map(partial(self._part, table), offer.parts)
        return offer

    def _part(self, table: SourceTable, part: Part) -> Part:
        batches = map(partial(self._concealing.batch, table), part.batches)
        return replace(part, batches=batches, identity=self._concealing.names(part.identity))


class _ConcealedDays(_Concealed):
    """The same of one that reads by days."""

    def offer_days(self, table: SourceTable, landed: Landed, days: tuple[date, date]) -> Offer:
        return self._concealed(table, self._connector.offer_days(self._as_read(table), landed, days))


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
