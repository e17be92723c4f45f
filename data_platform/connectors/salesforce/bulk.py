"""Reading by Bulk 2.0: one query job, its result page by page as CSV.

Bulk knows no compound fields, so those that are declared are put together again from their parts, as REST
writes them. It writes a null and an empty text alike, and the vendor keeps no empty text: both are null.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import requests

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import ReadAgain, SourceError
from data_platform.connectors.http import Unreadable
from data_platform.connectors.records import Rows, exact_number
from data_platform.connectors.salesforce.api import Org, Refused
from data_platform.connectors.salesforce.describe import COMPOUND, NUMBERS, Described, Field
from data_platform.connectors.salesforce.soql import Question
from data_platform.connectors.texts import rows_from_text
from data_platform.declarations import Column

log = logging.getLogger(__name__)

# A handful of pages are in memory at once, as text and as columns.
PAGE_ROWS = 5_000
AHEAD = 3
TRIES = 3
FIRST_LOOK = 0.2
LONGEST_LOOK = 20.0
LONGEST_JOB = 2 * 3600.0

# REST names these in every address, known or not.
_ALWAYS_NAMED = (
    "city",
    "country",
    "geocodeAccuracy",
    "latitude",
    "longitude",
    "postalCode",
    "state",
    "street",
)


@dataclass(frozen=True)
class _Page:
    """One page of a result, as the vendor answered for its locator: none for the first, `null` after the last."""

    locator: str
    answer: requests.Response


def read_bulk(
    org: Org, question: Question, columns: Sequence[Column], undeclared: Sequence[str], described: Described
) -> Iterator[Rows]:
    """The rows of a question in no order. What can't be had any more is `ReadAgain`."""
    compounds = {column.name for column in columns if described.fields[column.name].type in COMPOUND}
    fields = [name for name in question.fields if name not in compounds]
    parts = [part.name for compound in sorted(compounds) for part in described.parts(compound)]

    def decoded(page: _Page) -> Rows:
        texts = _texts(org, job, page)
        for compound in compounds:
            json = compound_json(texts, described.fields[compound], described.parts(compound))
            texts = texts.append_column(compound, json)
        return rows_from_text(
            texts, columns, undeclared, lambda name, text: _meant(described.fields[name], text)
        )

    job = _create(org, question.naming(list(dict.fromkeys([*fields, *parts]))))
    done = False
    try:
        _wait_for(org, job)
        yield from worked_ahead(decoded, read_ahead(_pages(org, job), AHEAD))
        done = True
    except (Refused, Unreadable) as trouble:
        raise ReadAgain(f"Bulk job {job} of {question.reads} can't be read to its end: {trouble}") from None
    finally:
        _clear_away(org, job, done)


def _create(org: Org, question: Question) -> str:
    asked = {
        "operation": "queryAll",
        "query": question.select,
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    job: str = org.call("POST", "jobs/query", json=asked).json()["id"]
    log.info("Salesforce's %s is read by Bulk job %s", question.reads, job)
    return job


def _wait_for(org: Org, job: str) -> None:
    started, pause = time.monotonic(), FIRST_LOOK
    while True:
        said = org.call("GET", f"jobs/query/{job}").json()
        if said["state"] == "JobComplete":
            return
        if said["state"] in ("Failed", "Aborted"):
            raise ReadAgain(
                f"Bulk job {job} ended as {said['state']}; Salesforce's setup pages (Bulk Data Load) say why"
            )
        if time.monotonic() - started > LONGEST_JOB:
            raise ReadAgain(f"Bulk job {job} was still {said['state']} after {LONGEST_JOB / 3600:.0f} hours")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_LOOK)


def _clear_away(org: Org, job: str, done: bool) -> None:
    """Jobs are kept for a week and count against the org; one that stays does no other harm."""
    with suppress(SourceError):
        if not done:
            org.call("PATCH", f"jobs/query/{job}", json={"state": "Aborted"})
        org.call("DELETE", f"jobs/query/{job}")


def _pages(org: Org, job: str) -> Iterator[_Page]:
    locator = ""
    while locator != "null":
        page = _asked(org, job, locator)
        yield page
        locator = page.answer.headers.get("Sforce-Locator", "null")


def _asked(org: Org, job: str, locator: str) -> _Page:
    params = {"maxRecords": str(PAGE_ROWS)} | ({"locator": locator} if locator else {})
    answer = org.call("GET", f"jobs/query/{job}/results", params=params, headers={"Accept": "text/csv"})
    return _Page(locator, answer)


def _texts(org: Org, job: str, page: _Page) -> pa.Table:
    """The page as columns of text; one that came garbled is asked for again."""
    for _ in range(TRIES):
        try:
            return _parsed(page.answer)
        except Unreadable as trouble:
            log.info("A page of Bulk job %s is asked for again: %s", job, trouble)
            page = _asked(org, job, page.locator)
    return _parsed(page.answer)


def _parsed(answer: requests.Response) -> pa.Table:
    """The page as columns of text. Part of a page can look like a whole one, so its rows are counted."""
    names = answer.content[: answer.content.find(b"\n")].decode().replace('"', "").strip().split(",")
    try:
        page = pyarrow.csv.read_csv(
            pa.BufferReader(answer.content),
            read_options=pyarrow.csv.ReadOptions(block_size=8 << 20),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        raise Unreadable("its answer was no whole CSV") from None
    promised = answer.headers.get("Sforce-NumberOfRecords", "")
    if promised.isdecimal() and page.num_rows != int(promised):
        raise Unreadable(f"its answer held {page.num_rows} rows where it promised {promised}")
    return page


def compound_json(texts: pa.Table, compound: Field, parts: Sequence[Field]) -> pa.Array:
    """The compound as REST writes it: its parts by their own names, null where every part is."""
    held = {part.name: texts.column(part.name).combine_chunks() for part in parts}
    is_empty = reduce(pc.and_, map(pc.is_null, held.values()), pa.repeat(True, texts.num_rows))
    pieces = {name: ["null"] for name in (_ALWAYS_NAMED if compound.type == "address" else ())}
    for part in parts:
        pieces[_name_within(part.name, compound.name)] = _as_json(part, held[part.name], is_empty)
    row: list[Any] = ["{"]
    for name in sorted(pieces):
        row += ["," if len(row) > 1 else "", f'"{name}":', *pieces[name]]
    joined = pc.binary_join_element_wise(
        *_with_constants_joined([*row, "}"]), "", null_handling="replace", null_replacement="null"
    )
    return pc.if_else(is_empty, pa.nulls(len(is_empty), pa.string()), joined)


def _with_constants_joined(pieces: Sequence[Any]) -> Iterator[Any]:
    for is_constant, some in groupby(pieces, lambda piece: isinstance(piece, str)):
        if is_constant:
            yield "".join(some)
        else:
            yield from some


def _name_within(part: str, compound: str) -> str:
    """BillingPostalCode is postalCode in BillingAddress; Site__Latitude__s is latitude in Site__c."""
    own = part.removesuffix("__s").split("__")[-1] if part.endswith("__s") else part
    own = own.removeprefix(compound.removesuffix("Address"))
    return own[0].lower() + own[1:]


def _as_json(part: Field, texts: pa.Array, is_empty: pa.Array) -> list[Any]:
    """The pieces that write a part's values. What they are where the whole compound is empty is all one."""
    if texts.null_count == len(texts):
        return ["null"]
    if part.type in NUMBERS:
        return [texts]
    if _needs_escaping(texts):
        encoded = [None if text is None else msgspec.json.encode(text).decode() for text in texts.to_pylist()]
        return [pa.array(encoded, pa.string())]
    if pc.any(pc.and_not(pc.is_null(texts), is_empty)).as_py():
        return [pc.binary_join_element_wise('"', texts, '"', "")]
    return ['"', texts, '"']


def _needs_escaping(texts: pa.Array) -> bool:
    """Whether they hold letters that JSON does not take as they are, looked for among all of them at once."""
    _, offsets, letters = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    within = np.frombuffer(letters, np.uint8)[ends[0] : ends[-1]]
    return bool(((within < ord(" ")) | (within == ord('"')) | (within == ord("\\"))).any())


def _meant(field: Field, text: str) -> Any:
    """The value that REST gives where Bulk writes this text."""
    if field.type in NUMBERS:
        return exact_number(text)
    if field.type == "boolean":
        return text == "true"
    if field.type == "datetime" and text.endswith("Z"):
        return f"{text[:-1]}+0000"
    return text
