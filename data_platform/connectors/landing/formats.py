"""What an object holds, told by its first bytes: Parquet, JSON (lines, one document, an array) or CSV, also gzipped.

An object that ends in the middle of something is refused whole: its writer is not done, or failed. A cut that falls
between two records (or, in the last field of a CSV without a last line end, between two characters) can't be told;
writers put objects in one piece, or under another name until they are whole. A record that can't be read is set
aside, and the others stand. Objects are held in memory whole.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.declarations import Entries

_RECORD = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
_BLANK = b" \t\r\n"


class Corrupt(Exception):
    """The object as a whole can't be read; the message says why and quotes nothing of it."""


@dataclass(frozen=True)
class BadRecord:
    """A record that can't be read: where in its object it is, and why."""

    place: str
    reason: str
    body: bytes


@dataclass(frozen=True)
class JsonRecords:
    """Records as JSON, each a text of its own."""

    records: Sequence[bytes]

    @property
    def counted(self) -> int:
        return len(self.records)


@dataclass(frozen=True)
class CsvLines:
    """The lines below a CSV's first, the last with its end; and the lines that are no text."""

    header: tuple[str, ...]
    lines: bytes
    records: int
    bad: Sequence[BadRecord] = ()

    @property
    def counted(self) -> int:
        return self.records + len(self.bad)


@dataclass(frozen=True)
class Columns:
    """What a Parquet file holds."""

    columns: pa.Table
    counted: int


Content = JsonRecords | CsvLines | Columns


def content_of(body: bytes, key: Sequence[str], entries: Entries | None) -> Content:
    """What the object holds; `key` are the columns without which it is none of ours."""
    body = _unpacked(body)
    start = body[:64].lstrip(_BLANK)
    if not start:
        raise Corrupt("it is empty")
    if body.startswith(b"PAR1"):
        return _parquet(body, key)
    if start[:1] in (b"{", b"["):
        return JsonRecords(_json(body, entries))
    return _csv(body, key)


def _unpacked(body: bytes) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        try:
            body = gzip.decompress(body)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Corrupt("it is no whole gzip file") from None
    return body.removeprefix(b"\xef\xbb\xbf")


def _parquet(body: bytes, key: Sequence[str]) -> Columns:
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        columns = file.read(use_threads=False)
    except (pa.ArrowException, OSError):
        raise Corrupt("it is no whole Parquet file") from None
    _check_names(columns.column_names, key)
    return Columns(columns.replace_schema_metadata(None), file.metadata.num_rows)


def _check_names(names: Sequence[str], key: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise Corrupt("it names a column twice")
    if missing := [name for name in key if name not in names]:
        raise Corrupt(f"it has no column {', '.join(missing)} among its {len(names)}")


def _json(body: bytes, entries: Entries | None) -> list[bytes]:
    records = _array(body) if body.lstrip(_BLANK).startswith(b"[") else _lines_or_document(body)
    if entries:
        records = [row for record in records for row in _spread(record, entries)]
    return records


def _array(body: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _RECORDS.decode(body)]
    except msgspec.DecodeError:
        raise Corrupt("it is no whole JSON array") from None


def _lines_or_document(body: bytes) -> list[bytes]:
    """Lines that each hold a record; a document that runs over several lines is one record."""
    lines = [line for line in body.split(b"\n") if line.strip(_BLANK)]
    if not is_record(lines[0]):
        if is_record(body):
            return [body]
        if len(lines) == 1 or not any(map(is_record, lines[1:])):
            raise Corrupt("it is neither a whole JSON document nor JSON lines")
    if not body.endswith(b"\n") and not is_record(lines[-1]):
        raise Corrupt("its last line is cut")
    return lines


def is_record(text: bytes) -> bool:
    try:
        _RECORD.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _spread(record: bytes, entries: Entries) -> Iterator[bytes]:
    try:
        fields = _RECORD.decode(record)
        found = _RECORD.decode(fields.pop(entries.of, msgspec.Raw(b"null")))
    except msgspec.DecodeError:
        raise Corrupt(f"it holds no map {entries.of!r}") from None
    for name, value in found.items():
        yield _ENCODER.encode(fields | {entries.name: name, entries.value: value})


def _csv(body: bytes, key: Sequence[str]) -> CsvLines:
    first, _, lines = body.partition(b"\n")
    try:
        header = tuple(next(csv.reader([first.decode()])))
    except (UnicodeDecodeError, csv.Error):
        raise Corrupt("its first line is no text") from None
    _check_names(header, key)
    text, bad = _text_of(lines)
    return CsvLines(
        header,
        text.encode() if text.endswith("\n") or not text else text.encode() + b"\n",
        _records_in(text, len(header)),
        bad,
    )


def _text_of(lines: bytes) -> tuple[str, list[BadRecord]]:
    """The lines as text, without those that are none."""
    try:
        return lines.decode(), []
    except UnicodeDecodeError:
        kept, bad = [], []
        for number, line in enumerate(lines.split(b"\n"), start=2):
            try:
                kept.append(line.decode())
            except UnicodeDecodeError:
                bad.append(BadRecord(f"line {number}", "it is no UTF-8 text", line))
        return "\n".join(kept), bad


def _records_in(text: str, width: int) -> int:
    """How many records the text holds, of which the last must be whole."""
    is_plain = '"' not in text and text.count("\r") == text.count("\r\n")
    if is_plain and (text.endswith("\n") or not text):
        return sum(1 for line in text.split("\n") if line.rstrip("\r"))
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""))
    records, begins, ends, last = 0, 0, 0, [""] * width
    try:
        for record in reader:
            if record:
                records, begins, last = records + 1, ends, record
            ends = reader.line_num
    except csv.Error:
        raise Corrupt("its records can't be told apart") from None
    is_cut = len(last) != width and not text.endswith("\n")
    if is_cut or _is_open(text.split("\n")[begins:]):
        raise Corrupt("its last record is cut")
    return records


def _is_open(lines: Sequence[str]) -> bool:
    """Whether a quote was opened and never closed."""
    try:
        list(csv.reader(io.StringIO("\n".join(lines), newline=""), strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False
