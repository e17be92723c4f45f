"""A load that finds nothing new in 200,000 leads: how long it takes, and that it leaves nothing."""

from pathlib import Path

from deltalake import DeltaTable

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.salesforce import TABLE, org_with
from benchmarks.turns import Side, cpu_seconds, empty_folder, peak_mb, process_seconds, seconds, start

LEADS = 200_000
ROUNDS = 5


def measure() -> Result:
    with org_with(LEADS) as org, empty_folder() as folder:
        side = Side("platform", "bronze", settings=org.settings)
        first = start(side, Job(TABLE), folder)
        table = folder / "lake/bronze/salesforce/leads"
        org.check(table)
        landed = what_is_there(table)
        runs = [start(side, Job(TABLE), folder) for _ in range(ROUNDS)]
        if what_is_there(table) != landed:
            raise AssertionError(f"a quiet load changed {table}: {landed} became {what_is_there(table)}")
    return Result(
        name="quiet",
        unit="s",
        ours=seconds(runs),
        peak_mb=peak_mb(runs),
        rows=org.leads,
        details={
            "seconds_from_process_start": process_seconds(runs),
            "cpu_seconds": cpu_seconds(runs),
            "first_load_seconds": first.seconds,
            "slowest": max(run.seconds for run in runs),
            "rows_read_again": runs[-1].details["overlap"],
            "rows_landed": runs[-1].details["landed"],
            "commits": 0,
        },
    )


def what_is_there(table: Path) -> tuple[int, int]:
    """Its version, and how many files of rows lie in its folder."""
    return DeltaTable(str(table)).version(), len(list(table.glob("*.parquet")))
