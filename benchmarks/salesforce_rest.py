"""200,000 leads over REST, in pages of 2,000, into bronze, and by dlt.

dlt runs as its own `rest_api` source, and fed with Arrow tables. All read the same columns in the same order
from one server.
"""

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.salesforce import TABLE, Org, org_with, question
from benchmarks.turns import PEERS, Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns

LEADS = 200_000
ROUNDS = 3
ALWAYS_REST = {"SALESFORCE_BULK_THRESHOLD": "100000000"}


def measure() -> Result:
    with org_with(LEADS) as org:
        runs = take_turns(sides(org), job_for(org), ROUNDS, org.check)
    with org_with(5 * LEADS) as larger:
        five_times = platform(larger).run(job_for(larger), larger.check).peak_mb
    rates = {name: org.leads / seconds(each) for name, each in runs.items()}
    ours, limit = rates.pop("platform"), rates.pop("fetching alone")
    peak = peak_mb(runs["platform"])
    return Result(
        name="salesforce-rest",
        unit="rows/s",
        ours=ours,
        peers=rates,
        ratio=ours / rates["dlt rest_api"],
        limit=limit,
        peak_mb=peak,
        rows=org.leads,
        details={
            "ratio_to_dlt_arrow": ours / rates["dlt arrow"],
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
            "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
            "peak_mb_for_five_times_the_rows": five_times,
            "peak_growth": five_times / peak - 1,
        },
    )


def sides(org: Org) -> list[Side]:
    return [
        Side("fetching alone", "fetch"),
        platform(org),
        Side("dlt rest_api", "dlt_rest_api", PEERS, "lake/bronze/leads"),
        Side("dlt arrow", "dlt_arrow", PEERS, "lake/bronze/leads"),
    ]


def platform(org: Org) -> Side:
    return Side(
        "platform", "bronze", lands_in="lake/bronze/salesforce/leads", settings=org.settings | ALWAYS_REST
    )


def job_for(org: Org) -> Job:
    return Job(TABLE, soql=question(), instance_url=org.url, token=org.token(), ca_file=org.ca_file)
