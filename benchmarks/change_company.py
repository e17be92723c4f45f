"""The whole chain on a company: the first load to gold, and then again after one in a hundred has changed.

Each load is a process with a Spark session of its own, whose start is timed apart and left out of both sides. Sources
hand over files (benchmarks/company.py): how fast each of them is read has a benchmark of its own.
"""

from dataclasses import asdict
from pathlib import Path

import duckdb

from benchmarks.company import SHARE, Company, Size
from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.turns import Run, Side, empty_folder, start

SIDE = Side("platform", "company")


def measure(size: Size | None = None) -> Result:
    first, change, company = first_and_change(size or Size())
    return Result(
        name="change-company",
        unit="s",
        ours=change.seconds,
        peers={"first load": first.seconds},
        ratio=first.seconds / change.seconds,
        peak_mb=max(first.peak_mb, change.peak_mb),
        rows=sum(company.rows.values()),
        details={
            "size": asdict(company.size),
            "session_start_seconds": change.details["preparing_seconds"],
            "seconds_by_step_of_first_load": first.details["seconds_by_step"],
            "seconds_by_step_of_change": change.details["seconds_by_step"],
            "moved_by_change": change.details["moved"],
        },
    )


def first_and_change(size: Size, share: float = SHARE) -> tuple[Run, Run, Company]:
    """Both loads, each seen to be right in gold."""
    with empty_folder() as folder:
        company = Company(folder / "handed over", size, share)
        runs = []
        for day in (0, 1):
            rows = company.write(day)
            run = start(SIDE, Job(table=str(company.folder)), folder)
            print(f"  day {day}: {rows:,} rows in {run.seconds:.1f} s", flush=True)
            check(folder, company)
            runs.append(run)
        return runs[0], runs[1], company


# What gold must hold, and the same of what was handed over.
TRUTHS = {
    "orders and their money": (
        "select count(*), sum(amount) from sales.fct_orders",
        """select count(*), sum(amount) from (
            select * from read_parquet('{folder}/snowflake/customer_orders/*.parquet', filename = true)
            qualify row_number() over (partition by order_id order by filename desc) = 1)""",
    ),
    "orders on their way": (
        "select count(*) from sales.fct_orders where status = 'shipped'",
        """select count(*) from (
            select * from read_parquet('{folder}/snowflake/customer_orders/*.parquet', filename = true)
            qualify row_number() over (partition by order_id order by filename desc) = 1) where status = 'shipped'""",
    ),
    "events": (
        "select count(*) from analytics.fct_user_events",
        "select count(*) from read_parquet('{folder}/kafka/user_events/*.parquet')",
    ),
    "payments and their money": (
        "select count(*), sum(amount) from sales.fct_payments",
        "select count(*), sum(amount) from read_parquet('{folder}/postgres/payments/*.parquet')",
    ),
    "money booked": (
        "select sum(debit), sum(credit) from sales.fct_financial_transactions",
        "select sum(debit), sum(credit) from read_parquet('{folder}/snowflake/financial_transactions/*.parquet')",
    ),
    "addresses": (
        "select count(distinct email) from core.dim_customers where is_current and email like 'person%'",
        # Whom the app knows by another address than the shop is another person.
        """select count(distinct email) from (
            select email from read_parquet('{folder}/postgres/customers/*.parquet', filename = true)
            qualify row_number() over (partition by customer_id order by filename desc) = 1
            union all
            select lower(email) from read_parquet('{folder}/clevertap/clevertap_profiles/*.parquet', filename = true)
            qualify row_number() over (partition by identity order by filename desc) = 1)""",
    ),
}


def check(folder: Path, company: Company) -> None:
    with duckdb.connect(str(folder / "warehouse/warehouse.duckdb"), read_only=True) as gold:
        for what, (asked, truth) in TRUTHS.items():
            found = gold.execute(asked).fetchall()
            told = gold.execute(truth.format(folder=company.folder)).fetchall()
            if found != told:
                raise AssertionError(f"{what}: gold has {found}, and {told} was handed over")
