"""1,000,000 orders from MariaDB by the first load of a table that is read by the moment its rows changed, against dlt.

dlt runs its own `sql_database` source with ConnectorX and with PyArrow. The platform reads in the order of the key, so
that a killed load goes on; dlt in any.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.loads.job import Job
from benchmarks.orders import check, dlt, fill_mysql, refuse_types
from benchmarks.result import Result
from benchmarks.turns import Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns
from sandbox.mysql.server import MySQLServer

ROWS = 1_000_000
ROUNDS = 3
JOB = Job("mysql.orders")


def measure() -> Result:
    with application_of(ROWS // 5) as smaller:
        one_fifth = platform(smaller).run(JOB, partial(check, ROWS // 5)).peak_mb
    with application_of(ROWS) as application:
        runs = take_turns(sides(application), JOB, ROUNDS, partial(check, ROWS))
    refuse_types(runs["platform"])
    rates = {name: ROWS / seconds(each) for name, each in runs.items()}
    ours = rates.pop("platform")
    peak = peak_mb(runs["platform"])
    return Result(
        name="mysql",
        unit="rows/s",
        ours=ours,
        peers=rates,
        ratio=ours / max(rates.values()),
        peak_mb=peak,
        rows=ROWS,
        details={
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
            "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
            "peak_mb_for_a_fifth_of_the_rows": one_fifth,
            "peak_growth": peak / one_fifth - 1,
            "types_of_its_own": {name: each[0].details["types_of_its_own"] for name, each in runs.items()},
        },
    )


@contextmanager
def application_of(rows: int) -> Iterator[MySQLServer]:
    with MySQLServer() as server:
        fill_mysql(server, rows)
        yield server


def sides(application: MySQLServer) -> list[Side]:
    database = application.dsn.replace("mysql:", "mysql+pymysql:")
    return [
        platform(application),
        dlt("dlt ConnectorX", "connectorx", database),
        dlt("dlt PyArrow", "pyarrow", database),
    ]


def platform(application: MySQLServer) -> Side:
    return Side("platform", "bronze", lands_in="lake/bronze/mysql/orders", settings=application.settings())
