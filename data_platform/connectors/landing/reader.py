"""The contents of many objects as bronze rows: those of one form and shape are read together, since files are small."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.base import Drift
from data_platform.connectors.http import Unreadable
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.landing.formats import (
    BadRecord,
    Columns,
    Content,
    CsvLines,
    JsonRecords,
    is_record,
)
from data_platform.connectors.landing.lines import Locator, no_columns, parsed, places_of
from data_platform.connectors.records import Rows, exact_number
from data_platform.connectors.texts import rows_from_text
from data_platform.declarations import Column, DataType, Snapshot, SourceTable
from data_platform.lake.schema import arrow_type, connector_schema

PAGE_ROWS = 25_000
_UNDER = "records"
_NUMBERS = ("bigint", "decimal", "double")
_ANY = msgspec.json.Decoder(dict[str, msgspec.Raw])
# A moment of nanoseconds, for one, is no type of JSON's or Python's own.
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted", enc_hook=str)


@dataclass(frozen=True)
class Read:
    """The rows of some contents, each with the place of the content that it is from, and what could not be read."""

    rows: Rows
    places: pa.Array
    bad: Sequence[tuple[int, BadRecord]] = ()


class Reader:
    """Reads contents into the columns of one table."""

    def __init__(self, table: SourceTable, files: Snapshot) -> None:
        self._table = table
        self._renames = dict(files.renames)
        in_file = {column: name for name, column in files.renames}
        self._columns = {in_file.get(column.name, column.name): column for column in table.columns}
        self._pages = self._json_pages(self._columns)
        self.key = tuple(in_file.get(name, name) for name in table.key)

    def read(self, contents: Sequence[Content]) -> Iterator[Read]:
        """The rows of all contents, in order."""
        for _, alike in groupby(enumerate(contents), key=lambda each: _shape(each[1])):
            placed = list(alike)
            match placed[0][1]:
                case JsonRecords():
                    yield from self._read_json(
                        [(at, each) for at, each in placed if isinstance(each, JsonRecords)]
                    )
                case CsvLines(header=header):
                    lines = [(at, each) for at, each in placed if isinstance(each, CsvLines)]
                    yield from self._read_csv(header, lines)
                case Columns():
                    yield from self._read_columns(
                        [(at, each) for at, each in placed if isinstance(each, Columns)]
                    )

    def bronze(self, read: Read, origins: pa.Array, deleted: str) -> pa.RecordBatch:
        """The rows in the table's bronze columns; a column that the files lack is null."""
        rows, schema = read.rows, connector_schema(self._table)
        op: pa.Array = pa.repeat("upsert", len(rows))
        if deleted in rows.columns:
            op = pc.if_else(pc.fill_null(rows.columns[deleted], False), "delete", "upsert")
        said = {"_op": op, "_origin": origins.take(read.places), "_rescued": rows.rescued}
        columns = [
            said[field.name]
            if field.name in said
            else rows.columns.get(field.name, pa.nulls(len(rows), field.type))
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def nothing(self) -> pa.RecordBatch:
        """No row, in the table's bronze columns."""
        return pa.RecordBatch.from_pylist([], schema=connector_schema(self._table))

    def drift(self, names: Sequence[str]) -> list[Drift]:
        """How an object that names these columns differs from what is declared."""
        lost = set(self._columns).difference(names) if names else ()
        return [
            *(Drift(name, "new", "", "in a landed file") for name in self.undeclared(names)),
            *(Drift(self._columns[n].name, "lost", str(self._columns[n].type), "") for n in sorted(lost)),
        ]

    def undeclared(self, names: Sequence[str]) -> list[str]:
        known = {*self._columns, *self._table.ignores}
        return [name for name in names if name not in known]

    def _json_pages(self, columns: dict[str, Column]) -> JsonPages:
        named = [replace(column, name=name) for name, column in columns.items()]
        return JsonPages(named, under=_UNDER, ignored=self._table.ignores)

    def _declared(self, rows: Rows) -> Rows:
        """Columns by their declared names instead of the files'."""
        return Rows({self._columns[name].name: held for name, held in rows.columns.items()}, rows.rescued)

    def _read_json(self, contents: Sequence[tuple[int, JsonRecords]]) -> Iterator[Read]:
        records = [record for _, content in contents for record in content.records]
        places = places_of([(at, content.counted) for at, content in contents])
        for start in range(0, len(records), PAGE_ROWS):
            page, at = records[start : start + PAGE_ROWS], places.slice(start, PAGE_ROWS)
            try:
                yield Read(self._read_page(page), at)
            except Unreadable:
                readable = [is_record(record) for record in page]
                kept = [record for record, is_good in zip(page, readable, strict=True) if is_good]
                yield Read(
                    self._read_page(kept),
                    at.filter(pa.array(readable, pa.bool_())),
                    self._bad(contents, start, page),
                )

    def _read_page(self, records: Sequence[bytes]) -> Rows:
        rows = self._pages.read(b'{"%s":[%s]}' % (_UNDER.encode(), b",".join(records)))
        if len(rows) != len(records):
            raise Unreadable("a line holds other than one record")
        return self._declared(rows)

    def _bad(
        self, contents: Sequence[tuple[int, JsonRecords]], start: int, page: Sequence[bytes]
    ) -> list[tuple[int, BadRecord]]:
        locate = Locator([(at, content.counted) for at, content in contents])
        return [
            (place, BadRecord(f"record {number}", "it is no JSON object", record))
            for offset, record in enumerate(page, start)
            if not is_record(record)
            for place, number in [locate(offset)]
        ]

    def _read_csv(self, header: tuple[str, ...], contents: Sequence[tuple[int, CsvLines]]) -> Iterator[Read]:
        parsed_lines = parsed(header, contents)
        if parsed_lines is None and len(contents) > 1:
            for each in contents:
                yield from self._read_csv(header, [each])
            return
        if parsed_lines is None:
            # Its receipt does not add up, so that somebody looks.
            at, content = contents[0]
            said = "its records can't be told apart the way that they were counted"
            parsed_lines = (
                no_columns(header),
                pa.array([], pa.int32()),
                [(at, BadRecord("all", said, content.lines))],
            )
        texts, places, bad = parsed_lines
        for start in range(0, max(1, texts.num_rows), PAGE_ROWS):
            rows = self._from_text(texts.slice(start, PAGE_ROWS))
            yield Read(self._declared(rows), places.slice(start, PAGE_ROWS), bad if start == 0 else ())

    def _from_text(self, texts: pa.Table) -> Rows:
        columns = [
            replace(self._columns[name], name=name) for name in texts.column_names if name in self._columns
        ]
        return rows_from_text(texts, columns, self.undeclared(texts.column_names), self._meant)

    def _meant(self, name: str, text: str) -> Any:
        """The value that JSON would hold where a file of text has this."""
        kind = self._columns[name].type.kind if name in self._columns else "string"
        if kind in _NUMBERS:
            try:
                return exact_number(text)
            except ArithmeticError:
                return text
        if kind == "boolean" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        return text

    def _read_columns(self, contents: Sequence[tuple[int, Columns]]) -> Iterator[Read]:
        columns = pa.concat_tables([content.columns for _, content in contents])
        places = places_of([(at, content.columns.num_rows) for at, content in contents])
        for start in range(0, columns.num_rows, PAGE_ROWS):
            yield Read(self._typed(columns.slice(start, PAGE_ROWS)), places.slice(start, PAGE_ROWS))

    def _typed(self, page: pa.Table) -> Rows:
        """Columns with types of their own: what is text is read as in a CSV, and what fits no cast as in JSON."""
        known = [name for name in page.column_names if name in self._columns]
        of_text = [name for name in known if _is_text(page.schema.field(name).type)]
        held: dict[str, pa.Array] = {}
        for name in set(known) - set(of_text):
            wanted = self._columns[name].type
            if _casts(page.schema.field(name).type, wanted):
                try:
                    held[name] = pc.cast(
                        page.column(name), arrow_type(wanted), safe=wanted.kind != "timestamp"
                    ).combine_chunks()
                except pa.ArrowException:
                    continue
        as_json = [name for name in page.column_names if name not in held and name not in of_text]
        texts = self._nothing_from(page)
        if of_text:
            as_text = pa.schema([(name, pa.string()) for name in of_text])
            texts = self._from_text(page.select(of_text).cast(as_text))
        asked = [name for name in as_json if name not in self._table.ignores]
        rows = self._as_json(page.select(asked)) if asked else self._nothing_from(page)
        return self._declared(
            Rows(held | dict(texts.columns) | dict(rows.columns), _both(texts.rescued, rows.rescued))
        )

    def _nothing_from(self, page: pa.Table) -> Rows:
        return Rows({}, pa.nulls(page.num_rows, pa.string()))

    def _as_json(self, page: pa.Table) -> Rows:
        columns = {name: self._columns[name] for name in page.column_names if name in self._columns}
        body = _ENCODER.encode({_UNDER: page.to_pylist()})
        return self._json_pages(columns).read(body)


def _shape(content: Content) -> Any:
    """Contents of one shape are read as one."""
    match content:
        case JsonRecords():
            return "json"
        case CsvLines(header=header):
            return header
        case Columns(columns=columns):
            return columns.schema.remove_metadata()


def _is_text(held: pa.DataType) -> bool:
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))


def _casts(held: pa.DataType, declared: DataType) -> bool:
    """Whether Arrow's cast means the same value; a double's digits are not those of a decimal."""
    if pa.types.is_integer(held):
        return declared.kind in _NUMBERS
    if pa.types.is_timestamp(held):
        return declared.kind == "timestamp"
    if pa.types.is_decimal(held):
        return declared.kind == "decimal"
    return bool(held == arrow_type(declared))


def _both(one: pa.Array, other: pa.Array) -> pa.Array:
    """What is rescued from a row in two ways."""
    if other.null_count == len(other):
        return one
    if one.null_count == len(one):
        return other
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return pa.array(
        [_ENCODER.encode(_ANY.decode(a) | _ANY.decode(b)).decode() if a and b else a or b for a, b in pairs],
        pa.string(),
    )
