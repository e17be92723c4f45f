"""1,000,000 leads by Bulk 2.0 into bronze, against the platform's own REST read of the same leads."""

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.salesforce import TABLE, Org, org_with
from benchmarks.turns import Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns

LEADS = 1_000_000
ROUNDS = 3


def measure() -> Result:
    with org_with(LEADS // 5) as smaller:
        one_fifth = platform(smaller, "bulk", 1).run(Job(TABLE), smaller.check).peak_mb
    with org_with(LEADS) as org:
        sides = [platform(org, "bulk", 1), platform(org, "rest", 100_000_000)]
        runs = take_turns(sides, Job(TABLE), ROUNDS, org.check)
    ours, rest = (org.leads / seconds(runs[name]) for name in ("bulk", "rest"))
    peak = peak_mb(runs["bulk"])
    return Result(
        name="salesforce-bulk",
        unit="rows/s",
        ours=ours,
        peers={"platform over REST": rest},
        ratio=ours / rest,
        peak_mb=peak,
        rows=org.leads,
        details={
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
            "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
            "peak_mb_for_a_fifth_of_the_rows": one_fifth,
            "peak_growth": peak / one_fifth - 1,
        },
    )


def platform(org: Org, name: str, threshold: int) -> Side:
    settings = org.settings | {"SALESFORCE_BULK_THRESHOLD": str(threshold)}
    return Side(name, "bronze", lands_in="lake/bronze/salesforce/leads", settings=settings)
