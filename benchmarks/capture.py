"""Changes of a PostgreSQL table to bronze: how many a second from a backlog, and how soon while they are made.

No peer that reads logical replication can be had from the registries, so none is measured. The limit is the server's
own decoding: the same changes as pgoutput writes them, asked for in the same way and sent nowhere.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job
from benchmarks.orders import fill_postgres
from benchmarks.postgres import platform
from benchmarks.result import Result
from benchmarks.turns import (
    Run,
    Side,
    cpu_seconds,
    empty_folder,
    peak_mb,
    process_seconds,
    seconds,
    start,
    take_turns,
)
from sandbox.postgres.server import PostgresServer

TABLE = "postgres.orders"
LANDS_IN = "lake/bronze/postgres/orders"
# A backlog, in transactions of so many changes each.
TRANSACTIONS = 500
INSERTS, UPDATES, DELETES = 500, 400, 100
ROUNDS = 3
# While changes are made.
SECONDS = 30
CHANGES_A_SECOND = 1_000
STANDING = 50_000

# A COMMIT in a procedure ends its transaction.
BACKLOG = """
do $$
begin
    for i in 0..{last} loop
        insert into orders select n, n % 10000 / 100.0, 'Lamp', n % 2 = 0, 1, date '2026-01-01',
            '{{"weight": 1}}', clock_timestamp()
        from generate_series({standing} + i * {inserts} + 1, {standing} + (i + 1) * {inserts}) as n;
        update orders set quantity = quantity + 1, amount = -amount, updated_at = clock_timestamp()
        where order_id between i * {updates} + 1 and (i + 1) * {updates};
        delete from orders where order_id between {standing} - (i + 1) * {deletes} + 1 and {standing} - i * {deletes};
        commit;
    end loop;
end $$
"""
DECODED = """
(select data from pg_logical_slot_peek_binary_changes(
    '{slot}', null, null, 'proto_version', '1', 'publication_names', '{slot}'))
"""
# The same question to the source, and to bronze by each key's newest row. The sum of whole moments has no room.
CONTENT = """
select count(*) as rows, sum(order_id) as order_ids, sum(amount) as amount, sum(quantity) as quantity,
    count(case when is_gift then 1 end) as gifts, sum({microseconds} % 1000000007) as moments from {held}
"""
IN_POSTGRES = CONTENT.format(held="orders", microseconds="(extract(epoch from updated_at) * 1000000)::bigint")
IN_BRONZE = CONTENT.format(
    held="""(select *, row_number() over (partition by order_id order by _order desc) as place from held)
    where place = 1 and _op <> 'delete'""",
    microseconds="arrow_cast(arrow_cast(updated_at, 'Timestamp(Microsecond, None)'), 'Int64')",
)


def measure() -> Result:
    runs = landed_from_backlog()
    backlog, decoding = runs["platform"], runs["decoding alone"]
    following, delays = followed()
    changes = TRANSACTIONS * (INSERTS + UPDATES + DELETES)
    written = following.details["written"]
    return Result(
        name="capture",
        unit="changes/s",
        ours=changes / seconds(backlog),
        limit=changes / seconds(decoding),
        peak_mb=max(peak_mb(backlog), following.peak_mb),
        rows=changes,
        details={
            "seconds": seconds(backlog),
            "seconds_of_decoding_alone": seconds(decoding),
            "seconds_from_process_start": process_seconds(backlog),
            "cpu_seconds": cpu_seconds(backlog),
            "while_changes_are_made": {
                "changes": written["changes"],
                "changes_a_second": written["changes"] / written["seconds"],
                "seconds_from_change_to_bronze": {
                    "p50": float(np.percentile(delays, 50)),
                    "p95": float(np.percentile(delays, 95)),
                    "max": float(delays.max()),
                },
                "loads": following.details["loads"],
                "seconds_a_load": following.details["seconds_a_load"],
                "peak_mb": following.peak_mb,
            },
        },
    )


def landed_from_backlog() -> dict[str, list[Run]]:
    """Loads of one backlog, and the server's own decoding of it. A load asks for what lies beyond its lake's
    position, and lets the server forget no more than that, so each has the same before it."""
    standing = TRANSACTIONS * INSERTS
    with PostgresServer() as server, empty_folder() as before:
        fill_postgres(server, standing)
        start(platform(server), Job(TABLE), before)
        server_does(server, backlog_of(standing))
        ((slot,),) = server.execute("select slot_name from pg_replication_slots")
        asked = {"COPY_OF": DECODED.format(slot=slot)}
        sides = [
            replace(platform(server), after=before),
            Side("decoding alone", "copy_out", settings=server.settings() | asked),
        ]
        return take_turns(sides, Job(TABLE), ROUNDS, partial(check, server, standing))


def backlog_of(standing: int) -> str:
    return BACKLOG.format(
        last=TRANSACTIONS - 1, standing=standing, inserts=INSERTS, updates=UPDATES, deletes=DELETES
    )


def server_does(server: PostgresServer, statement: str) -> None:
    """Outside of a transaction, so that it may end its own."""
    connection = server.connect()
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def followed() -> tuple[Run, Any]:
    """Loads while changes are made, and the seconds from each change to the end of the load that landed it."""
    with PostgresServer() as server, empty_folder() as folder:
        fill_postgres(server, STANDING)
        side = Side("platform", "follow", settings=server.settings())
        told = Job(TABLE, seconds=SECONDS, changes_a_second=CHANGES_A_SECOND)
        run = start(side, told, folder)
        content_must_be_the_source_s(server, folder / LANDS_IN)
        delays = delays_of(folder / LANDS_IN, run)
    if len(delays) != run.details["written"]["changes"]:
        raise AssertionError(f"{run.details['written']} were written, and {len(delays)} landed")
    return run, delays


def delays_of(folder: Path, run: Run) -> Any:
    """The database's clock is this machine's."""
    # The rows that were read whole come before every change, all at one place.
    changes = "select _batch, updated_at from held where _order > (select min(_order) from held)"
    landed = query(folder, changes)
    batches, moments = np.array(run.details["landed_at"]).T
    ends = moments[np.searchsorted(batches, landed.column("_batch").to_numpy())]
    changed = landed.column("updated_at").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return ends - changed / 1_000_000


def check(server: PostgresServer, standing: int, folder: Path) -> None:
    """Refuse a load that left out or repeated a change, or did not come to what the table holds."""
    content_must_be_the_source_s(server, folder)
    counted = query(folder, "select _op, count(*) as n from held group by _op order by _op").to_pylist()
    expected = {"delete": TRANSACTIONS * DELETES, "upsert": standing + TRANSACTIONS * (INSERTS + UPDATES)}
    if {row["_op"]: row["n"] for row in counted} != expected:
        raise AssertionError(f"{folder} holds {counted}; what happened is {expected}")


def content_must_be_the_source_s(server: PostgresServer, folder: Path) -> None:
    landed = tuple(query(folder, IN_BRONZE).to_pylist()[0].values())
    (expected,) = server.execute(IN_POSTGRES)
    if landed != expected:
        raise AssertionError(f"{folder} comes to {landed}; the database has {expected}")


def query(folder: Path, question: str) -> pa.Table:
    return pa.table(QueryBuilder().register("held", DeltaTable(str(folder))).execute(question).read_all())
