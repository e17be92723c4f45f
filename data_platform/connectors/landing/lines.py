"""The lines of many CSVs as columns of text, and which of the files each record is from."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from data_platform.connectors.landing.formats import BadRecord, CsvLines


class Locator:
    """Finds the content that a record of many contents is from, and its number there."""

    def __init__(self, counts: Sequence[tuple[int, int]]) -> None:
        self._at = [at for at, _ in counts]
        self._begins = [0, *accumulate(count for _, count in counts)]

    def __call__(self, offset: int) -> tuple[int, int]:
        which = bisect_right(self._begins, offset) - 1
        return self._at[which], offset - self._begins[which] + 1


def places_of(counts: Sequence[tuple[int, int]]) -> pa.Array:
    at, often = zip(*counts, strict=True)
    return pa.array(np.repeat(np.array(at, np.int32), often))


def parsed(
    header: tuple[str, ...], contents: Sequence[tuple[int, CsvLines]]
) -> tuple[pa.Table, pa.Array, list[tuple[int, BadRecord]]] | None:
    """The lines as columns of text, with the content that each row is from, and the records that are no rows.

    None where Arrow tells other records apart than were counted.
    """
    bad = [(at, record) for at, content in contents for record in content.bad]
    locate = Locator([(at, content.records) for at, content in contents])
    left_out: set[int] = set()

    def set_aside(row: pa_csv.InvalidRow) -> str:
        place, number = locate(row.number - 2)
        said = f"it has {row.actual_columns} fields where the first line names {row.expected_columns}"
        bad.append((place, BadRecord(f"record {number}", said, row.text.encode())))
        left_out.add(row.number - 2)
        return "skip"

    places = places_of([(at, content.records) for at, content in contents])
    try:
        texts = _csv_columns(header, b"".join(content.lines for _, content in contents), set_aside)
    except (pa.ArrowException, IndexError):
        return None
    if texts.num_rows + len(left_out) != len(places):
        return None
    kept = pa.array([at not in left_out for at in range(len(places))], pa.bool_()) if left_out else None
    return texts, places if kept is None else places.filter(kept), bad


def no_columns(header: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.nulls(0, pa.string()) for name in header})


def _csv_columns(header: tuple[str, ...], lines: bytes, set_aside: Any) -> pa.Table:
    """An empty field is null, and an empty one in quotes an empty text."""
    if not lines.strip():
        return no_columns(header)
    return pa_csv.read_csv(
        pa.BufferReader(_first_line(header) + lines),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(lines) + 1_000_000),
        parse_options=pa_csv.ParseOptions(newlines_in_values=b'"' in lines, invalid_row_handler=set_aside),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _first_line(header: tuple[str, ...]) -> bytes:
    return ",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in header).encode() + b"\n"
