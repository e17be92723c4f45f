"""The records of the peers' pages, with the columns of the platform's table by their names."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from benchmarks.loads.job import Job
from benchmarks.loads.vendor_pages import bodies
from data_platform.sources.catalogue import table_named

Record = dict[str, Any]


def pages(job: Job) -> Iterator[list[Record]]:
    read = READ[job.table]
    for about, body in bodies(job):
        yield from read(about, orjson.loads(body))


def facebook_records(_: str, page: Any) -> Iterator[list[Record]]:
    yield page["data"]


def google_records(_: str, stream: Any) -> Iterator[list[Record]]:
    for batch in stream:
        yield [{name: value_at(record, path) for name, path in GOOGLE.items()} for record in batch["results"]]


def value_at(record: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        record = record[part]
    return record


def clevertap_records(event: str, page: Any) -> Iterator[list[Record]]:
    for record in page["records"]:
        record["event"] = event
        record["profile.identity"] = record["profile"]["identity"]
    yield page["records"]


# Where JSON has a field of GAQL: `ad_group_ad.ad.id` is adGroupAd, ad, id.
GOOGLE = {
    column.name: tuple(
        re.sub(r"_([a-z])", lambda found: found[1].upper(), part) for part in column.name.split(".")
    )
    for column in table_named("google.google_ads").columns
}
READ: Mapping[str, Callable[[str, Any], Iterator[list[Record]]]] = {
    "facebook.facebook_ads": facebook_records,
    "google.google_ads": google_records,
    "clevertap.clevertap_events": clevertap_records,
}
