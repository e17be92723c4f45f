"""1,000,000 CRM rows from Salesforce to the marts, and then again after one in a hundred has changed.

Each run is a process of its own with a Spark session of its own, whose start (with its first write and merge)
is timed apart and left out of both sides.
"""

from pathlib import Path
from statistics import median

import duckdb

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.salesforce import Org, org_with
from benchmarks.turns import Run, Side, empty_folder, process_seconds, seconds, start

ROWS = 1_000_000
# The sandbox's usual company has 11,500 rows in its four tables.
SCALE = ROWS / 11_500
ROUNDS = 3

# Where the change has to be seen in the end, and in which column.
MARKED_IN_GOLD = {
    "accounts": "select count(*) from core.dim_accounts where is_current and billing_city = ?",
    "contacts": "select count(*) from core.dim_contacts where is_current and lead_source = ?",
    "leads": "select count(*) from crm.fct_leads where lead_source = ?",
    "opportunities": "select count(*) from crm.fct_opportunities where lead_source = ?",
}


def measure() -> Result:
    firsts: list[Run] = []
    changes: list[Run] = []
    with org_with(scale=SCALE) as org:
        for number in range(1, ROUNDS + 1):
            first, change = first_and_change(org, f"round {number}")
            print(f"  round {number}: first {first.seconds:.1f} s, change {change.seconds:.1f} s", flush=True)
            firsts.append(first)
            changes.append(change)
    return Result(
        name="change-crm",
        unit="s",
        ours=seconds(changes),
        peers={"first load": seconds(firsts)},
        ratio=seconds(firsts) / seconds(changes),
        rows=sum(org.rows.values()),
        details={
            "session_start_seconds": median(run.details["preparing_seconds"] for run in firsts + changes),
            "seconds_from_process_start": {
                "first load": process_seconds(firsts),
                "change": process_seconds(changes),
            },
            "seconds_by_step_of_first_load": firsts[-1].details["seconds_by_step"],
            "seconds_by_step_of_change": changes[-1].details["seconds_by_step"],
            "moved_by_first_load": firsts[-1].details["moved"],
            "moved_by_change": changes[-1].details["moved"],
        },
    )


def first_and_change(org: Org, mark: str) -> tuple[Run, Run]:
    side = Side("platform", "chain", settings=org.settings)
    with empty_folder() as folder:
        first = start(side, Job(), folder)
        changed = org.change(mark)
        change = start(side, Job(), folder)
        check(folder, org, mark, changed)
        return first, change


def check(folder: Path, org: Org, mark: str, changed: dict[str, int]) -> None:
    """Every changed row has to be in gold, as its newest version."""
    with duckdb.connect(str(folder / "warehouse/warehouse.duckdb"), read_only=True) as gold:
        found = {
            table: gold.execute(asked, [mark]).fetchall()[0][0] for table, asked in MARKED_IN_GOLD.items()
        }
    if found != changed:
        raise AssertionError(f"{changed} records were changed at {org.url}; gold has {found} of them")
