"""3,000,000 orders from PostgreSQL by the first load of a table that is followed from then on, against dlt.

dlt runs its own `sql_database` source with ConnectorX and with PyArrow. The limit is the server's own COPY, sent
nowhere. The platform reads in the order of the key, so that a killed load goes on; the others in any.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.loads.job import Job
from benchmarks.orders import check, dlt, fill_postgres, refuse_types
from benchmarks.result import Result
from benchmarks.turns import Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns
from sandbox.postgres.server import PostgresServer

ROWS = 3_000_000
ROUNDS = 2
JOB = Job("postgres.orders")
# Measured on the kind of machine that CI has, with process start; ingestr can't be installed from the registries.
INGESTR_OF_COPY = 0.56


def measure() -> Result:
    # No warm-up of its own: the server has in memory what it has just made, and the fifth has run every program.
    with shop_of(ROWS // 5) as smaller:
        fifths = take_turns(sides(smaller), JOB, 1, partial(check, ROWS // 5), warm_up=False)
    with shop_of(ROWS) as shop:
        runs = take_turns(sides(shop), JOB, ROUNDS, partial(check, ROWS), warm_up=False)
    refuse_types(runs["platform"])
    rates = {name: ROWS / seconds(each) for name, each in runs.items()}
    ours, limit = rates.pop("platform"), rates.pop("COPY")
    peak, one_fifth = peak_mb(runs["platform"]), peak_mb(fifths["platform"])
    return Result(
        name="postgres",
        unit="rows/s",
        ours=ours,
        peers=rates,
        ratio=ours / max(rates.values()),
        limit=limit,
        peak_mb=peak,
        rows=ROWS,
        details={
            "ingestr_of_copy_quoted": INGESTR_OF_COPY,
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
            "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
            "peak_mb_for_a_fifth_of_the_rows": one_fifth,
            "peak_growth": peak / one_fifth - 1,
            "types_of_its_own": {
                name: each[0].details.get("types_of_its_own") for name, each in runs.items()
            },
        },
    )


@contextmanager
def shop_of(rows: int) -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        fill_postgres(server, rows)
        yield server


def sides(shop: PostgresServer) -> list[Side]:
    database = shop.dsn.replace("postgresql:", "postgresql+psycopg2:")
    return [
        Side("COPY", "copy_out", settings=shop.settings() | {"COPY_OF": "orders"}),
        platform(shop),
        dlt("dlt ConnectorX", "connectorx", database),
        dlt("dlt PyArrow", "pyarrow", database),
    ]


def platform(shop: PostgresServer) -> Side:
    return Side("platform", "bronze", lands_in="lake/bronze/postgres/orders", settings=shop.settings())
