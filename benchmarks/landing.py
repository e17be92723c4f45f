"""10,000 small files of JSON lines, as AppFlow lands them, into bronze, and by Spark into a Delta table.

Spark reads the same files in one job, told their schema, many files to a task; its session is started before the
clock. Then one file more is landed, among those and among a fifth of them: the load of it costs what is new.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.turns import (
    Side,
    cpu_seconds,
    empty_folder,
    peak_mb,
    process_seconds,
    seconds,
    start,
    take_turns,
)
from data_platform.sources.salesforce import ACCOUNTS
from sandbox.landing.zone import LandingFolder, land_object

FILES = 10_000
ROWS_A_FILE = 10
FILES_A_DAY = 100
FIRST_DAY = date(2026, 1, 1)
ROUNDS = 2


def measure() -> Result:
    job = Job(f"{ACCOUNTS.system}.{ACCOUNTS.name}")
    with landed(FILES) as zone:
        runs = take_turns(sides(zone), job, ROUNDS, check)
        among_all = one_more(zone, job, FILES)
    with landed(FILES // 5) as zone:
        among_a_fifth = one_more(zone, job, FILES // 5)
    rates = {name: FILES / seconds(each) for name, each in runs.items()}
    ours = rates.pop("platform")
    return Result(
        name="landing",
        unit="files/s",
        ours=ours,
        peers=rates,
        ratio=ours / max(rates.values()),
        peak_mb=peak_mb(runs["platform"]),
        rows=FILES * ROWS_A_FILE,
        details={
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            # Spark's are its JVM's, which is not seen from here.
            "cpu_seconds": cpu_seconds(runs["platform"]),
            "seconds_for_one_file_more": among_all,
            "seconds_for_one_file_more_among_a_fifth": among_a_fifth,
        },
    )


def sides(zone: LandingFolder) -> list[Side]:
    return [platform(zone), Side("spark", "spark_files", lands_in="lake/files", settings=zone.settings())]


def platform(zone: LandingFolder) -> Side:
    chosen = {"SALESFORCE_ROUTES": '{"accounts": "appflow"}'}
    return Side(
        "platform",
        "bronze",
        lands_in="lake/bronze/salesforce/accounts",
        settings=zone.settings() | chosen,
    )


@contextmanager
def landed(files: int) -> Iterator[LandingFolder]:
    with empty_folder() as folder:
        zone = LandingFolder(folder / "landing")
        for number in range(files):
            land(zone, number)
        yield zone


def land(zone: LandingFolder, number: int) -> str:
    """Returns the file's key."""
    day = FIRST_DAY + timedelta(days=number // FILES_A_DAY)
    rows = [account(number * ROWS_A_FILE + row) for row in range(ROWS_A_FILE)]
    return land_object(zone, ACCOUNTS.reads, day, rows, "jsonl", f"{number:06d}")


def account(number: int) -> dict[str, object]:
    return {
        "Id": f"{number:018d}",
        "Name": f"Company {number}",
        "AnnualRevenue": number + 0.25,
        "NumberOfEmployees": number % 1_000,
        "Phone": "+1 555 0100",
        "Industry": "Energy",
        "BillingCity": "Austin",
        "IsDeleted": False,
        "SystemModstamp": "2026-01-01T06:00:00.000Z",
    }


def one_more(zone: LandingFolder, job: Job, landed_before: int) -> float:
    """How long the load of one file takes where so many have landed before."""
    side = platform(zone)
    with empty_folder() as folder:
        start(side, job, folder)
        key = land(zone, landed_before)
        run = start(side, job, folder)
    zone.take_away(key)
    if run.details["landed"] != ROWS_A_FILE:
        raise AssertionError(f"one file of {ROWS_A_FILE} rows landed {run.details['landed']}")
    return run.seconds


def check(table: Path) -> None:
    query = 'select count(*), count(distinct "Id"), sum("AnnualRevenue") from held'
    held = QueryBuilder().register("held", DeltaTable(str(table))).execute(query).read_all()
    found = tuple(float(column[0].as_py()) for column in held.columns)
    rows = FILES * ROWS_A_FILE
    expected = (rows, rows, rows * (rows - 1) / 2 + rows * 0.25)
    if found != expected:
        raise AssertionError(f"{table} holds {found} where {expected} was landed")
