"""A table altered, a database restarted, a password changed: what goes on goes on right, what can't says what to do."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import adbc_driver_manager
import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.postgres.session import Columnar, Database
from data_platform.declarations import (
    DECIMAL,
    HOURLY,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    SourceTable,
    Stream,
    days,
    years,
)
from data_platform.settings import Settings
from data_platform.sources.postgres import CUSTOMERS, PAYMENTS

ORDERS = SourceTable(
    system="postgres",
    name="orders",
    reads="public.orders",
    description="Orders.",
    key=("id",),
    load=Stream(order="lsn"),
    every=HOURLY,
    owner="team:shop",
    keep_for=years(1),
    columns=(
        Column("id", INTEGER, required=True),
        Column("status", STRING),
        Column("price", DECIMAL(12, 2)),
        Column("updated_at", TIMESTAMP, required=True),
    ),
)
BY_MOMENT = replace(
    ORDERS,
    name="orders_by_moment",
    load=Incremental(cursor="updated_at", overlap=timedelta(minutes=15), compare_keys_every=days(1)),
)


@pytest.fixture
def orders(loading):
    loading.execute(
        "create table orders "
        "(id int primary key, status varchar(10), price numeric(8, 2), updated_at timestamptz not null)"
    )
    loading.execute(
        "insert into orders select i, 'open', i, now() - interval '1 hour' from generate_series(1, 200) i"
    )
    return loading


def newest(loading, table, key):
    return loading.newest(table).get((key,))


def test_a_column_that_is_added_is_rescued_and_said(orders):
    orders.load(ORDERS)
    orders.execute("alter table orders add column tags text[]")
    orders.execute("update orders set tags = array['a', 'b'] where id = 1")
    loaded = orders.load(ORDERS)
    assert [(drift.column, drift.kind) for drift in loaded.drift] == [("tags", "new")]
    assert newest(orders, ORDERS, 1)["_rescued"] == '{"tags":["a","b"]}'


@pytest.mark.parametrize(
    ("alter", "drift", "rescued"),
    [
        ("drop column status", [("status", "lost")], None),
        ("rename column status to state", [("state", "new"), ("status", "lost")], '{"state":"open"}'),
    ],
)
def test_a_column_that_is_dropped_or_renamed_lands_as_null_from_then_on(orders, alter, drift, rescued):
    orders.load(ORDERS)
    orders.execute("update orders set status = 'before' where id = 1")
    orders.execute(f"alter table orders {alter}")
    orders.execute("update orders set price = 7 where id = 2")
    loaded = orders.load(ORDERS)
    assert [(each.column, each.kind) for each in loaded.drift] == drift
    assert newest(orders, ORDERS, 1)["status"] == "before"
    assert newest(orders, ORDERS, 2)["status"] is None
    assert newest(orders, ORDERS, 2)["_rescued"] == rescued


def test_columns_that_are_widened_land_as_before_and_what_fits_no_more_is_rescued(orders):
    orders.load(ORDERS)
    orders.execute(
        "alter table orders alter id type bigint, alter status type text, alter price type numeric"
    )
    orders.execute(
        "insert into orders values (5000000000, 'longer than ten', 1.25, now()), (5000000001, '', 1.255, now())"
    )
    loaded = orders.load(ORDERS)
    assert not loaded.drift
    assert str(newest(orders, ORDERS, 5_000_000_000)["price"]) == "1.25"
    assert newest(orders, ORDERS, 5_000_000_001)["_rescued"] == '{"price":1.255}'


def test_a_type_that_is_another_is_said_and_its_values_are_kept(orders):
    orders.load(ORDERS)
    orders.execute("alter table orders alter price type text using price || ' EUR'")
    orders.execute("update orders set status = 'x' where id = 3")
    loaded = orders.load(ORDERS)
    assert [(drift.column, drift.kind) for drift in loaded.drift] == [("price", "type")]
    assert newest(orders, ORDERS, 3)["_rescued"] == '{"price":"3.00 EUR"}'


def test_a_table_that_is_dropped_and_made_anew_is_read_again(orders):
    orders.load(ORDERS)
    orders.execute(
        "drop table orders;"
        "create table orders (id int primary key, status text, price numeric, updated_at timestamptz);"
        "insert into orders values (1, 'new', 2, now())"
    )
    loaded = orders.load(ORDERS)
    assert any("read again" in note for note in loaded.notes)
    assert {key: row["status"] for key, row in orders.newest(ORDERS).items()} == {(1,): "new"}


@pytest.mark.parametrize("crashed", [False, True], ids=["restarted", "crashed"])
@pytest.mark.parametrize("table", [CUSTOMERS, PAYMENTS], ids=lambda table: table.name)
def test_a_database_that_restarts_in_mid_read_is_said_and_the_load_goes_on_after(
    shop, table, crashed, small_batches
):
    class Restarted:
        def offer(self, declared, landed):
            offer = shop.connector().offer(declared, landed)
            parts = offer.parts
            first = next(parts)
            shop.server.restart(crashed=crashed)
            return replace(offer, parts=(part for part in [first, *parts]))

    with pytest.raises(SourceError, match="the position stands"):
        load(table, Restarted(), shop.lake, 1)
    shop.load(table)
    shop.database.live_a_day()
    shop.load(table)
    shop.agrees(table)


def test_a_connection_that_breaks_inside_an_answer_is_said_in_our_words(orders, small_batches):
    # Wider than what waits in the buffers of a connection.
    orders.execute("alter table orders add column note text")
    orders.execute("update orders set note = repeat('n', 100000)")

    class Restarted:
        def offer(self, declared, landed):
            offer = orders.connector().offer(declared, landed)
            parts = (replace(part, batches=self.batches(part.batches)) for part in offer.parts)
            return replace(offer, parts=parts)

        def batches(self, batches):
            yield next(batches)
            orders.server.restart(crashed=True)
            yield from batches

    with pytest.raises(SourceError, match=r"broke off: .* the position stands") as raised:
        load(ORDERS, Restarted(), orders.lake, 1)
    assert "nnn" not in str(raised.value)
    assert orders.load(ORDERS).receipt.landed < 200
    orders.execute("update orders set note = null")
    orders.load(ORDERS)
    assert len(orders.newest(ORDERS)) == 200


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda dsn: dsn.replace("@", "x@"), CredentialsRefused, "refuses the user or password"),
        (lambda dsn: dsn.rsplit(":", 1)[0] + ":1/shop", SourceError, "could not be reached"),
        (lambda dsn: dsn.replace("127.0.0.1", "db.invalid"), SourceError, "could not be reached"),
        (lambda dsn: "no dsn at all " + dsn.split(":")[2].split("@")[0], SourceError, "no connection string"),
        (lambda dsn: dsn.replace("/shop", "/elsewhere"), SourceError, "elsewhere"),
    ],
    ids=["password", "port", "host", "form", "database"],
)
def test_a_wrong_address_or_password_names_the_setting_and_no_secret(loading, wrong, error, says):
    with pytest.raises(error, match=says) as raised:
        load(ORDERS, loading.connector(wrong(loading.server.dsn)), loading.lake, 1)
    assert "POSTGRES_DSN" in str(raised.value)
    assert loading.server.password not in str(raised.value)


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="only Linux tells the timers of a connection")
def test_a_connection_whose_server_is_gone_without_a_word_is_found_out_by_the_system(loading):
    settings = Settings(_env_file=None, postgres_dsn=loading.server.dsn)
    with Database(settings).session() as session, socket.socket(fileno=os.dup(session.fileno())) as held:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [held.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [60, 15, 8]


def test_a_table_that_is_not_there_is_refused_with_what_to_do(loading):
    with pytest.raises(SourceError, match=r"public\.orders, which the database does not have"):
        loading.load(ORDERS)


def test_by_moment_what_changed_lands_and_ties_and_late_rows_are_not_lost(orders, small_batches):
    orders.load_killed(BY_MOMENT, after=2)
    assert 0 < len(orders.rows(BY_MOMENT)) < 200
    orders.load(BY_MOMENT)
    assert len(orders.rows(BY_MOMENT)) == 200
    orders.execute("update orders set status = 'paid', updated_at = now() where id <= 3")
    orders.execute("insert into orders values (900, 'late', 1, now() - interval '5 minutes')")
    assert orders.load(BY_MOMENT).receipt.landed == 4
    assert orders.load(BY_MOMENT).receipt.landed == 0
    assert newest(orders, BY_MOMENT, 2)["status"] == "paid"
    assert newest(orders, BY_MOMENT, 900)["status"] == "late"


def test_by_moment_rows_that_are_gone_are_found_by_their_keys(orders):
    orders.load(BY_MOMENT)
    orders.execute("delete from orders where id in (1, 2)")
    assert orders.load(BY_MOMENT).receipt.landed == 0
    now_and_then = replace(BY_MOMENT, load=replace(BY_MOMENT.load, compare_keys_every=timedelta(0)))
    loaded = orders.load(now_and_then)
    assert (loaded.receipt.offered, loaded.receipt.landed) == (2, 2)
    assert {key for (key,) in orders.newest(now_and_then)} == set(range(3, 201))
    assert orders.load(now_and_then).receipt.landed == 0


def test_a_session_that_is_closed_while_a_thread_reads_its_answer_ends_the_answer(loading):
    """A load that breaks off closes its session while the next rows are being fetched."""
    database = Database(Settings(_env_file=None, postgres_dsn=loading.server.dsn))
    begun = threading.Event()

    def read(session: Columnar) -> int:
        rows = 0
        for batch in session.batches("select repeat('x', 1000) from generate_series(1, 300000)"):
            rows += batch.num_rows
            begun.set()
        return rows

    with ThreadPoolExecutor(1) as thread:
        with database.columnar() as session:
            reading = thread.submit(read, session)
            assert begun.wait(timeout=60)
        with pytest.raises(adbc_driver_manager.Error):
            reading.result(timeout=60)
