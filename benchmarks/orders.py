"""The orders of the database benchmarks: made by each database itself, what a load of them has to land, and dlt's."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.tables import COLUMNS
from benchmarks.turns import PEERS, Run, Side
from data_platform.lake.schema import arrow_type
from sandbox.mysql.server import MySQLServer
from sandbox.postgres.server import PostgresServer

# What a float would round.
LARGEST = Decimal("1234567890123456.78")
FIRST_MOMENT = "2025-01-01 00:00:00.000001"
FIRST_MICROSECOND = int(np.datetime64("2025-01-01T00:00:00.000001", "us").astype(np.int64))
FIRST_DAY = int(np.datetime64("2026-01-01", "D").astype(np.int64))
SECOND = 1_000_000

POSTGRES_TABLE = """
create table orders (
    order_id bigint primary key, amount numeric(18, 2), product text, is_gift boolean, quantity integer, ships_on date,
    details jsonb, updated_at timestamptz not null
)
"""
MYSQL_TABLE = """
create table orders (
    order_id bigint not null primary key, amount decimal(18, 2), product varchar(100), is_gift tinyint(1),
    quantity int, ships_on date, details json, updated_at datetime(6) not null, key (updated_at, order_id)
) engine = InnoDB
"""


def fill_postgres(server: PostgresServer, rows: int) -> None:
    server.execute(POSTGRES_TABLE)
    server.execute(f"""
        insert into orders select n,
            case when n = 1 then {LARGEST} when n % 100 <> 99 then (n * 7919 % 10000000) / 100.0 end,
            'Müsli bowl ' || n % 1000, n % 3 = 0, n % 50, date '2026-01-01' + (n % 365)::int,
            jsonb_build_object('weight', n % 1000, 'color', 'red'),
            timestamptz '{FIRST_MOMENT}+00' + n * interval '1 second'
        from generate_series(1::bigint, {rows}) as n
        """)
    # Else the first to read them would write that they are there to stay.
    connection = server.connect()
    connection.autocommit = True
    connection.cursor().execute("vacuum analyze orders")
    connection.close()


def fill_mysql(server: MySQLServer, rows: int) -> None:
    server.execute(MYSQL_TABLE)
    server.execute(f"""
        insert into orders select seq,
            case when seq = 1 then {LARGEST} when seq % 100 <> 99 then (seq * 7919 % 10000000) / 100 end,
            concat('Müsli bowl ', seq % 1000), seq % 3 = 0, seq % 50, date_add('2026-01-01', interval seq % 365 day),
            json_object('weight', seq % 1000, 'color', 'red'), date_add('{FIRST_MOMENT}', interval seq second)
        from seq_1_to_{rows}
        """)
    server.execute("analyze table orders")


# Each column has its share, however the database or a peer spells it.
LANDED = """
select count(*) as rows, count(distinct order_id) as keys, sum(order_id) as order_ids, count(amount) as amounts,
    sum(amount) as amount, count(distinct product) as products, sum(character_length(product)) as letters,
    sum(cast(is_gift as int)) as gifts, sum(quantity) as quantity, sum(cast(cast(ships_on as int) as bigint)) as days,
    sum(cast(regexp_replace(details, '.*"weight": ?([0-9]+).*', '\\1') as bigint)) as weight,
    sum(arrow_cast(arrow_cast(updated_at, 'Timestamp(Microsecond, None)'), 'Int64') - {first}) as moments
from held
"""


@cache
def expected(rows: int) -> dict[str, Any]:
    """What the answer to LANDED has to be, worked out here and not in a database."""
    n = np.arange(1, rows + 1, dtype=np.int64)
    amounts = n[(n % 100 != 99) & (n > 1)] * 7919 % 10_000_000
    return {
        "rows": rows,
        "keys": rows,
        "order_ids": int(n.sum()),
        "amounts": len(amounts) + 1,
        "amount": LARGEST + Decimal(int(amounts.sum())) / 100,
        "products": min(rows, 1_000),
        "letters": int((len("Müsli bowl ") + np.char.str_len((n % 1_000).astype(str))).sum()),
        "gifts": int((n % 3 == 0).sum()),
        "quantity": int((n % 50).sum()),
        "days": int((FIRST_DAY + n % 365).sum()),
        "weight": int((n % 1_000).sum()),
        "moments": int(n.sum()) * SECOND,
    }


def check(rows: int, folder: Path) -> dict[str, Any]:
    """Refuse a load that did not land each order once, with all its values; say which types it has made of its own."""
    table = DeltaTable(str(folder))
    question = LANDED.format(first=FIRST_MICROSECOND)
    answer = pa.table(QueryBuilder().register("held", table).execute(question).read_all())
    (landed,) = answer.to_pylist()
    if landed != expected(rows):
        raise AssertionError(f"{folder} holds {landed}; the database has {expected(rows)}")
    return {"types_of_its_own": types_of_its_own(pa.schema(table.schema().to_arrow()))}


def types_of_its_own(held: pa.Schema) -> dict[str, str]:
    """The columns that are held in another type than the declared one."""
    return {
        column.name: str(held.field(column.name).type)
        for column in COLUMNS
        if held.field(column.name).type != arrow_type(column.type)
    }


def refuse_types(runs: Sequence[Run]) -> None:
    """The platform holds every column as it is declared."""
    for run in runs:
        if found := run.details["types_of_its_own"]:
            raise AssertionError(f"bronze holds {found}, which are not the declared types")


def dlt(name: str, backend: str, database: str) -> Side:
    """`database` is its address, with the driver that SQLAlchemy is to take."""
    told = {"DLT_DATABASE": database, "DLT_BACKEND": backend}
    return Side(name, "dlt_sql_database", PEERS, "lake/bronze/orders", told)
