"""Ninety days of Google Ads, Facebook insights and CleverTap events into bronze, against dlt.

dlt is fed with the records of each page, as its users do, and with Arrow tables that we make of them for it. All ask
one server the same questions. The result is of the vendor where the platform gains least.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.served import served
from benchmarks.turns import (
    PEERS,
    Run,
    Side,
    cpu_seconds,
    peak_mb,
    process_seconds,
    seconds,
    take_turns,
)

DAYS = 90
ROUNDS = 2
# Facebook has two accounts with so many ads each; of CleverTap it is people.
SIZES = {"facebook": 700, "google": 1_400, "clevertap": 1_900}
TABLES = {
    "facebook": "facebook.facebook_ads",
    "google": "google.google_ads",
    "clevertap": "clevertap.clevertap_events",
}
ADS = 'count(*) as rows, count(distinct concat("{ad}", cast("{day}" as varchar))) as keys'
CONTENT = {
    "facebook": ADS.format(ad="ad_id", day="date_start")
    + ", sum(impressions) as impressions, sum(clicks) as clicks, sum(spend) as spend",
    "google": ADS.format(ad="ad_group_ad.ad.id", day="segments.date")
    + ', sum("metrics.impressions") as impressions, sum("metrics.clicks") as clicks,'
    ' sum("metrics.cost_micros") as spend',
    "clevertap": """count(*) as rows, count(distinct concat(event, "profile.identity", cast(ts as varchar))) as keys,
        sum(ts) as moments,
        sum(cast(regexp_replace(event_props, '.*"Amount": ?([0-9.]+).*', '\\1') as decimal(18, 2))) as amount""",
}


@dataclass(frozen=True)
class Vendor:
    """A running stand-in: the platform's settings for it, and what its days hold."""

    name: str
    settings: dict[str, str]
    truth: dict[str, Decimal]
    job: Job

    @property
    def rows(self) -> int:
        return int(self.truth["rows"])

    def check(self, folder: Path) -> None:
        """Refuse a load that did not land each row once, with its numbers."""
        held = QueryBuilder().register("held", DeltaTable(str(folder)))
        (landed,) = pa.table(held.execute(f"select {CONTENT[self.name]} from held").read_all()).to_pylist()
        if landed != self.truth:
            raise AssertionError(f"{folder} holds {landed}; {self.name} has {self.truth}")


def measure() -> Result:
    runs: dict[str, dict[str, list[Run]]] = {}
    rows: dict[str, int] = {}
    for name in SIZES:
        print(f" {name}:", flush=True)
        with vendor(name) as one:
            rows[name] = one.rows
            runs[name] = take_turns(sides(one), one.job, ROUNDS, one.check)
    told = {name: told_of(runs[name], rows[name]) for name in runs}
    worst = min(told, key=lambda name: told[name]["ratio"])
    rates = dict(told[worst]["rates"])
    ours, limit = rates.pop("platform"), rates.pop("fetching alone")
    return Result(
        name="ads",
        unit="rows/s",
        ours=ours,
        peers=rates,
        ratio=told[worst]["ratio"],
        limit=limit,
        peak_mb=max(peak_mb(each["platform"]) for each in runs.values()),
        rows=rows[worst],
        details={"of": worst, **told},
    )


def told_of(runs: dict[str, list[Run]], rows: int) -> dict[str, Any]:
    rates = {name: rows / seconds(each) for name, each in runs.items()}
    return {
        "ratio": rates["platform"] / rates["dlt"],
        "ratio_to_dlt_arrow": rates["platform"] / rates["dlt arrow"],
        "rows": rows,
        "rates": rates,
        "seconds": {name: seconds(each) for name, each in runs.items()},
        "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
        "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
        "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
    }


@contextmanager
def vendor(name: str) -> Iterator[Vendor]:
    with served("benchmarks.serve_ads", name, SIZES[name], DAYS) as (_, said):
        job = Job(TABLES[name], first_day=said["first_day"], last_day=said["last_day"])
        truth = {what: Decimal(amount) for what, amount in said["truth"].items()}
        yield Vendor(name, said["settings"], truth, job)


def sides(one: Vendor) -> list[Side]:
    table = TABLES[one.name].split(".")[1]
    ours = Side("platform", "bronze", lands_in=f"lake/bronze/{one.name}/{table}", settings=one.settings)
    return [
        Side("fetching alone", "vendor_fetch", PEERS, settings=one.settings),
        ours,
        Side("dlt", "dlt_vendor", PEERS, f"lake/bronze/{table}", one.settings),
        Side("dlt arrow", "dlt_vendor_arrow", PEERS, f"lake/bronze/{table}", one.settings),
    ]
