"""Rows as landed files hold them: CSV, JSON lines, a JSON array, Parquet."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]


def _plain(value: Any) -> Any:
    """As AppFlow writes moments and days of Salesforce."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def json_lines(rows: Sequence[Row]) -> bytes:
    return "".join(_json({name: _plain(v) for name, v in row.items()}) + "\n" for row in rows).encode()


def json_array(rows: Sequence[Row]) -> bytes:
    return _json([{name: _plain(v) for name, v in row.items()} for row in rows]).encode()


def csv_lines(rows: Sequence[Row]) -> bytes:
    """Text in quotes, nothing for null; a value with an inner shape as its JSON."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(_as_text(_plain(value)) for value in row.values())
    return written.getvalue().encode()


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return _json(value) if isinstance(value, dict | list) else value


def parquet(rows: Sequence[Row]) -> bytes:
    """Values in types of their own; one with an inner shape as its JSON."""
    columns = {
        name: [_json(row[name]) if isinstance(row[name], dict | list) else row[name] for row in rows]
        for name in rows[0]
    }
    held = io.BytesIO()
    pq.write_table(pa.table(columns), held)
    return held.getvalue()


FORMS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "csv": csv_lines,
    "jsonl": json_lines,
    "json": json_array,
    "parquet": parquet,
    "csv.gz": lambda rows: gzip.compress(csv_lines(rows)),
    "jsonl.gz": lambda rows: gzip.compress(json_lines(rows)),
}
