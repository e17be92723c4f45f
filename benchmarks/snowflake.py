"""1,000,000 orders from Snowflake's stand-in into bronze; the limit is the official connector, fetching the same rows.

The connector is the only way in, so no peer is measured. The stand-in answers in one piece, where Snowflake sends many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.turns import Run, Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns
from data_platform.sources.snowflake import CUSTOMER_ORDERS
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.warehouse import COLUMNS

ROWS = 1_000_000
ROUNDS = 3
JOB = Job(f"{CUSTOMER_ORDERS.system}.{CUSTOMER_ORDERS.name}")
FILL = """
insert into RAW_DATA.PUBLIC.customer_orders
select 'O' || lpad(n::varchar, 9, '0'), 'C' || (n % 5000), case when n % 100 > 0 then 'P' || (n % 300) end, n % 20 + 1,
    (n % 100000) / 100, 'EUR', 'shipped', dateadd(day, n % 365, '2025-01-01'::date),
    case when n % 10 > 0 then dateadd(second, n, '2025-01-02 00:00:00+00:00'::timestamp_tz) end,
    dateadd(second, n, '2025-01-01 00:00:00'::timestamp_ntz)
from (select row_number() over (order by seq4()) as n from table(generator(rowcount => {rows})))
"""
# 2025-01-01, as days and as seconds since 1970.
FIRST_DAY, FIRST_SECOND = 20_089, 1_735_689_600
# Seconds since its first moment, so that no sum is beyond 64 bits.
SECONDS = "sum(arrow_cast(arrow_cast({name}, 'Timestamp(Second, None)'), 'Int64') - {since})"
LANDED = f"""
select count(*) as rows, count(distinct order_id) as keys, count(product_id) as products, sum(quantity) as quantity,
    sum(amount) as amount, sum(cast(cast(order_date as int) as bigint)) as days, count(shipped_at) as shipped,
    {SECONDS.format(name="shipped_at", since=FIRST_SECOND + 86_400)} as shipped_seconds,
    {SECONDS.format(name="updated_at", since=FIRST_SECOND)} as updated_seconds
from held
"""


def measure() -> Result:
    with warehouse_of(ROWS // 5) as smaller:
        one_fifth = platform(smaller).run(JOB, partial(check, ROWS // 5)).peak_mb
    with warehouse_of(ROWS) as warehouse:
        sides = [
            Side("connector alone", "snowflake_fetch", settings=warehouse.settings()),
            platform(warehouse),
        ]
        runs = take_turns(sides, JOB, ROUNDS, partial(check, ROWS))
    must_have_fetched_all(runs["connector alone"])
    peak = peak_mb(runs["platform"])
    return Result(
        name="snowflake",
        unit="rows/s",
        ours=ROWS / seconds(runs["platform"]),
        limit=ROWS / seconds(runs["connector alone"]),
        peak_mb=peak,
        rows=ROWS,
        details={
            "seconds": {name: seconds(each) for name, each in runs.items()},
            "seconds_from_process_start": {name: process_seconds(each) for name, each in runs.items()},
            "cpu_seconds": {name: cpu_seconds(each) for name, each in runs.items()},
            "peak_mb": {name: peak_mb(each) for name, each in runs.items()},
            "peak_mb_for_a_fifth_of_the_rows": one_fifth,
            "peak_growth": peak / one_fifth - 1,
        },
    )


@contextmanager
def warehouse_of(rows: int) -> Iterator[SnowflakeServer]:
    with SnowflakeServer() as server:
        server.execute("create database if not exists RAW_DATA")
        server.execute(f"create table RAW_DATA.PUBLIC.customer_orders ({COLUMNS['customer_orders']})")
        server.execute(FILL.format(rows=rows))
        yield server


def platform(warehouse: SnowflakeServer) -> Side:
    return Side(
        "platform",
        "bronze",
        lands_in="lake/bronze/snowflake/customer_orders",
        settings=warehouse.settings(),
    )


def must_have_fetched_all(runs: list[Run]) -> None:
    for run in runs:
        if run.details["rows"] != ROWS:
            raise AssertionError(f"the connector fetched {run.details['rows']} of {ROWS} rows")


def check(rows: int, folder: Path) -> None:
    """Refuse a load that did not land each order once, with all its values."""
    held = QueryBuilder().register("held", DeltaTable(str(folder)))
    (landed,) = pa.table(held.execute(LANDED).read_all()).to_pylist()
    if landed != expected(rows):
        raise AssertionError(f"{folder} holds {landed}; the warehouse has {expected(rows)}")


def expected(rows: int) -> dict[str, int | Decimal]:
    numbers = range(1, rows + 1)
    shipped = [number for number in numbers if number % 10]
    return {
        "rows": rows,
        "keys": rows,
        "products": sum(number % 100 > 0 for number in numbers),
        "quantity": sum(number % 20 + 1 for number in numbers),
        "amount": Decimal(sum(number % 100_000 for number in numbers)) / 100,
        "days": sum(FIRST_DAY + number % 365 for number in numbers),
        "shipped": len(shipped),
        "shipped_seconds": sum(shipped),
        "updated_seconds": sum(numbers),
    }
