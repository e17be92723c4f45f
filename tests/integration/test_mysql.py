"""What lands from MySQL is what the application wrote: load after load, whatever happens on the way."""

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.mysql import MySQL
from data_platform.connectors.mysql.connector import Asked
from data_platform.connectors.mysql.database import Database
from data_platform.lake.append import Appender
from data_platform.settings import Settings
from data_platform.sources.mysql import SUBSCRIPTIONS
from sandbox.certificate import certificate_in
from sandbox.mysql.app import Application
from sandbox.mysql.server import MySQLServer
from sandbox.world.company import Sizes, World
from sandbox.world.subscriptions import PER_THOUSAND


@pytest.fixture(scope="module")
def server():
    with MySQLServer() as server:
        yield server


@pytest.fixture(scope="module")
def world():
    return World(sizes=Sizes(accounts=30, contacts=150, leads=30, opportunities=30))


@pytest.fixture
def app(server, world, monkeypatch):
    monkeypatch.setattr("data_platform.connectors.mysql.database.FIRST_WAIT", 0.02)
    server.execute("drop table if exists subscriptions")
    return Application(server, world)


@pytest.fixture
def bronze(app, lake):
    return Bronze(app, lake)


class Bronze:
    """The application's table in a lake of its own."""

    def __init__(self, app, lake):
        self.app = app
        self.lake = lake

    def settings(self, **settings):
        given = {name.lower(): value for name, value in self.app.server.settings().items()}
        return Settings(_env_file=None, **(given | settings))

    def connector(self, **settings):
        return MySQL(self.settings(**settings))

    def load(self, connector=None, commit_rows=50_000):
        return load(SUBSCRIPTIONS, connector or self.connector(), self.lake, commit_rows)

    def rows(self):
        held = self.lake.bronze(SUBSCRIPTIONS).query("select * from held order by updated_at, _batch")
        return held.to_pylist()

    def newest(self):
        return {row["subscription_id"]: row for row in self.rows()}

    def agrees_with_truth(self):
        """Every row that is there in every declared column, no other row, and no version twice."""
        rows = self.rows()
        live = {key: row for key, row in self.newest().items() if row["_op"] == "upsert"}
        truth = self.app.truth()
        assert live.keys() == truth.keys()
        for key, row in live.items():
            columns, rescued = as_declared(truth[key])
            assert {name: row[name] for name in columns} == columns
            assert json.loads(row["_rescued"] or "{}") == rescued
        assert len({(row["subscription_id"], row["updated_at"], row["_op"]) for row in rows}) == len(rows)


def as_declared(row):
    """What bronze must hold of a row that the application wrote: its columns, and what fits none."""
    columns = dict(row)
    misfits = {
        "ends_on": row["ends_on"] == "0000-00-00",
        "cancelled_at": row["cancelled_at"] == "0000-00-00 00:00:00",
        "seats": isinstance(row["seats"], int) and row["seats"] >= 2**63,
        "is_trial": row["is_trial"] == 2,
    }
    rescued = {name: columns[name] for name, is_misfit in misfits.items() if is_misfit}
    columns |= dict.fromkeys(rescued)
    return columns | {"usage_bytes": Decimal(row["usage_bytes"])}, rescued


def test_a_first_load_lands_every_row_as_it_is(bronze):
    loaded = bronze.load()
    bronze.agrees_with_truth()
    assert loaded.receipt.offered == loaded.receipt.landed == len(bronze.app.truth())
    assert loaded.receipt.complete
    assert loaded.drift == []
    assert {row["_origin"] for row in bronze.rows()} == {"MySQL app.subscriptions"}


def test_what_fits_no_column_is_rescued_and_counted(bronze):
    loaded = bronze.load()
    planted = bronze.app.subscriptions.planted
    rescued = ("zero_date", "zero_moment", "seats_beyond_signed", "trial_of_two")
    assert planted.keys() == PER_THOUSAND.keys()
    assert loaded.receipt.rescued == sum(len(planted[fault]) for fault in rescued) > 0
    newest = bronze.newest()
    for fault, said in zip(
        rescued,
        (
            {"ends_on": "0000-00-00"},
            {"cancelled_at": "0000-00-00 00:00:00"},
            {"seats": 2**64 - 1},
            {"is_trial": 2},
        ),
        strict=True,
    ):
        assert [json.loads(newest[key]["_rescued"]) for key in planted[fault]] == [said] * len(planted[fault])


def test_values_keep_their_meaning(bronze):
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    bronze.app.update([1], price=Decimal("9999999999.99"), started_at=moment, ends_on=date(1000, 1, 1))
    bronze.app.update([2], usage_bytes=2**64 - 1, notes='tab\t "quote" \\ \n 日本 🙂', auto_renews=None)
    bronze.app.update([3], notes="", discount=0.1, updated_at=moment)
    bronze.load()
    bronze.agrees_with_truth()
    newest = bronze.newest()
    assert newest[1]["price"] == Decimal("9999999999.99")
    assert newest[1]["started_at"] == moment
    assert newest[2]["usage_bytes"] == 2**64 - 1
    assert newest[3]["updated_at"] == moment


def test_each_day_only_what_changed_is_landed(bronze):
    bronze.load()
    for _ in range(4):
        did = bronze.app.advance()
        loaded = bronze.load()
        assert loaded.receipt.landed == did["made"] + did["changed"]
        assert loaded.receipt.adds_up
    newest, truth = bronze.newest(), bronze.app.truth()
    assert {key: newest[key]["price"] for key in truth} == {key: row["price"] for key, row in truth.items()}


def test_a_quiet_table_lands_nothing_and_commits_nothing(bronze):
    bronze.load()
    before = bronze.load()
    again = bronze.load()
    assert (again.receipt.landed, again.batch, again.position) == (0, before.batch, before.position)


def test_rows_deleted_without_a_trace_are_found_by_their_keys(bronze, monkeypatch):
    bronze.load()
    bronze.app.delete([3, 5, 8])
    assert bronze.load().receipt.landed == 0
    monkeypatch.setattr(Asked, "now", some_days_on(2))
    loaded = bronze.load()
    assert loaded.receipt.landed == 3
    assert {key for key, row in bronze.newest().items() if row["_op"] == "delete"} == {3, 5, 8}
    bronze.agrees_with_truth()
    assert bronze.load().receipt.landed == 0


def test_rows_without_a_moment_land_once_and_again_when_they_are_others(bronze, monkeypatch):
    app = bronze.app
    app.server.execute("alter table subscriptions modify updated_at timestamp(6) null default null")
    app.update([2, 3, 4], updated_at=None)
    first = bronze.load()
    assert (first.receipt.landed, first.receipt.adds_up) == (len(app.truth()), True)
    usual, days = Asked.now, iter(range(2, 100, 2))
    # Each load compares keys.
    monkeypatch.setattr(Asked, "now", lambda asked: usual(asked) + timedelta(days=next(days)))

    def landed():
        loaded = bronze.load()
        assert loaded.receipt.adds_up
        return loaded.receipt.landed

    assert landed() == 0
    # One that had a moment loses it, and one changes without.
    app.update([5], updated_at=None, notes="no moment any more")
    app.update([3], updated_at=None, notes="changed")
    assert (landed(), landed()) == (2, 0)
    # One gets a moment, one of the three is gone, and so is one that has a moment.
    app.update([4], notes="a moment at last", updated_at=app.now() + timedelta(days=7))
    app.delete([2, 6])
    assert (landed(), landed()) == (3, 0)
    versions = {
        key: [row["_op"] for row in bronze.rows() if row["subscription_id"] == key] for key in range(2, 7)
    }
    assert versions == {
        2: ["delete", "upsert"],
        3: ["upsert", "upsert"],
        4: ["upsert", "upsert"],
        5: ["upsert", "upsert"],
        6: ["upsert", "delete"],
    }
    notes = [row["notes"] for row in bronze.rows() if row["subscription_id"] in (3, 5)]
    assert {"changed", "no moment any more"} <= set(notes)


def some_days_on(days):
    """The database's clock, so many days on."""
    usual = Asked.now
    return lambda asked: usual(asked) + timedelta(days=days)


class Killed(BaseException):
    """The process ends here."""


def killed_after(monkeypatch, commits):
    """A load that ends for good right after so many commits."""
    usual, left = Appender.commit, [commits]

    def commit(self, note):
        batch = usual(self, note)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return batch

    monkeypatch.setattr(Appender, "commit", commit)


def test_a_killed_first_load_goes_on_inside_and_lands_nothing_twice(bronze, monkeypatch):
    monkeypatch.setattr("data_platform.connectors.mysql.database.BATCH_ROWS", 40)
    with monkeypatch.context() as patched:
        killed_after(patched, commits=2)
        with pytest.raises(Killed):
            bronze.load(commit_rows=40)
    assert len(bronze.rows()) == 80
    loaded = bronze.load(commit_rows=40)
    assert loaded.receipt.offered == len(bronze.app.truth()) - 80
    bronze.agrees_with_truth()


def test_what_changes_while_a_first_load_is_cut_short_lands_with_its_end(bronze, monkeypatch):
    monkeypatch.setattr("data_platform.connectors.mysql.database.BATCH_ROWS", 40)
    with monkeypatch.context() as patched:
        killed_after(patched, commits=2)
        with pytest.raises(Killed):
            bronze.load(commit_rows=40)
    read, unread = 5, max(bronze.app.truth()) - 5
    assert bronze.lake.bronze(SUBSCRIPTIONS).position["whole"] == [80]
    bronze.app.update([read, unread], notes="changed since")
    bronze.app.delete([unread - 1])
    now = bronze.app.now()
    contacts = bronze.app.world.truth("contacts")[:1]
    (new,) = bronze.app.subscriptions.start(contacts, now - timedelta(days=1), now)
    bronze.app.insert([new | {"updated_at": now}])
    loaded = bronze.load(commit_rows=40)
    assert loaded.receipt.adds_up
    assert "whole" not in loaded.position
    assert [bronze.newest()[each]["notes"] for each in (read, unread)] == ["changed since"] * 2
    bronze.agrees_with_truth()


def test_a_first_load_that_was_cut_short_at_its_very_end_is_over_with_the_next(bronze, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("data_platform.bronze.load._Load._finish", killing)
        patched.setattr("data_platform.connectors.mysql.database.BATCH_ROWS", 40)
        with pytest.raises(Killed):
            bronze.load(commit_rows=40)
    assert "whole" in bronze.lake.bronze(SUBSCRIPTIONS).position
    bronze.load()
    bronze.agrees_with_truth()
    assert "whole" not in bronze.lake.bronze(SUBSCRIPTIONS).position


def killing(*_):
    raise Killed


def test_ties_across_an_edge_are_each_read_once(bronze, monkeypatch):
    # As of a table whose key the database does not order its rows by.
    monkeypatch.setattr(Asked, "lies_by_key", False)
    # Long ago, so that no overlap reads them again.
    bronze.app.update(bronze.app.truth(), updated_at=bronze.app.now() - timedelta(days=3))
    assert len({row["updated_at"] for row in bronze.app.truth().values()}) == 1
    monkeypatch.setattr("data_platform.connectors.mysql.database.BATCH_ROWS", 25)
    for _ in range(2):
        with monkeypatch.context() as patched:
            killed_after(patched, commits=1)
            with pytest.raises(Killed):
                bronze.load(commit_rows=25)
    loaded = bronze.load()
    assert loaded.receipt.offered == loaded.receipt.landed == len(bronze.app.truth()) - 50
    bronze.agrees_with_truth()


def test_a_row_that_shows_late_lands_with_the_next_load(bronze):
    bronze.load()
    late = bronze.app.now() - timedelta(minutes=5)
    bronze.app.update([4], notes="on time")
    bronze.load()
    bronze.app.update([7], notes="late", updated_at=late)
    loaded = bronze.load()
    assert (loaded.receipt.landed, loaded.receipt.overlap) == (1, 1)
    bronze.agrees_with_truth()


def test_a_row_of_an_open_transaction_is_landed_once_it_is_seen(bronze):
    bronze.load()
    with bronze.app.server.transaction() as cursor:
        cursor.execute(
            "update subscriptions set notes = 'open', updated_at = now(6) where subscription_id = 9"
        )
        assert bronze.load().receipt.landed == 0
    assert bronze.load().receipt.landed == 1
    assert bronze.newest()[9]["notes"] == "open"


def test_a_database_that_falls_over_in_mid_read_is_read_again(bronze, monkeypatch):
    monkeypatch.setattr("data_platform.connectors.mysql.database.BATCH_ROWS", 20)
    usual, falls = Database.stream, [True]

    def stream(self, question):
        for number, batch in enumerate(usual(self, question)):
            if number == 3 and falls and falls.pop():
                bronze.app.server.restart()
            yield batch

    # A server's answer waits whole in the connection's buffers unless its rows are wide.
    bronze.app.update(bronze.app.truth(), notes="n" * 30_000)
    monkeypatch.setattr(Database, "stream", stream)
    loaded = bronze.load(commit_rows=20)
    assert not falls
    assert loaded.receipt.complete
    bronze.agrees_with_truth()


def test_a_table_that_stays_locked_ends_the_load_and_the_next_goes_on(bronze, monkeypatch):
    usual, holder = Database.stream, bronze.app.server.connect()

    def stream(self, question):
        holder.cursor().execute("lock tables subscriptions write")
        return usual(self, question)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "stream", stream)
        with pytest.raises(SourceError, match="the position stands"):
            bronze.load(bronze.connector(database_network_timeout=1, http_retries=0))
    holder.close()
    assert bronze.load().receipt.complete
    bronze.agrees_with_truth()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="only Linux tells the timers of a connection")
def test_a_connection_whose_server_is_gone_without_a_word_is_found_out_by_the_system(bronze):
    earlier = {connection.getsockname() for connection in connections_to(bronze.app.server.port)}
    # Many batches long, so that it is still being read after the first.
    batches = Database(bronze.settings()).stream("select a.seq from seq_1_to_2000000 a")
    next(batches)
    opened = [held for held in connections_to(bronze.app.server.port) if held.getsockname() not in earlier]
    assert opened
    for connection in opened:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        connection.close()
    batches.close()


def connections_to(port):
    """This process's, whoever opened them."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            held = socket.socket(fileno=os.dup(int(link.name)))
            if held.getpeername()[1:] == (port,):
                yield held
            else:
                held.close()


def test_a_new_column_is_rescued_and_told(bronze):
    bronze.load()
    bronze.app.server.execute("alter table subscriptions add column region varchar(8)")
    bronze.app.server.execute("update subscriptions set region = 'north' where subscription_id = 2")
    loaded = bronze.load()
    assert [(drift.column, drift.kind) for drift in loaded.drift] == [("region", "new")]
    assert json.loads(bronze.newest()[2]["_rescued"]) == {"region": "north"}


def test_a_lost_column_lands_as_null_and_is_told(bronze):
    bronze.load()
    bronze.app.server.execute("alter table subscriptions drop column discount")
    bronze.app.update([5], notes="after")
    loaded = bronze.load()
    assert [(drift.column, drift.kind) for drift in loaded.drift] == [("discount", "lost")]
    assert (bronze.newest()[5]["discount"], bronze.newest()[5]["notes"]) == (None, "after")


def test_a_widened_column_lands_what_fits_and_rescues_the_rest(bronze):
    bronze.load()
    bronze.app.server.execute("alter table subscriptions modify price decimal(20, 4)")
    bronze.app.update([1], price=Decimal("1.2345"))
    bronze.app.update([2], price=Decimal("12.5000"))
    loaded = bronze.load()
    assert [(drift.column, drift.kind, drift.found) for drift in loaded.drift] == [
        ("price", "type", "decimal(20,4)")
    ]
    newest = bronze.newest()
    assert (newest[1]["price"], json.loads(newest[1]["_rescued"])["price"]) == (None, "1.2345")
    assert newest[2]["price"] == Decimal("12.50")


def test_a_lost_cursor_is_an_error_that_names_it(bronze):
    bronze.app.server.execute("alter table subscriptions rename column updated_at to touched_at")
    with pytest.raises(SourceError, match=r"read by updated_at, and MySQL's app.subscriptions has no such"):
        bronze.load()


def test_a_connection_is_made_only_to_a_server_that_the_ca_bundle_vouches_for(bronze, tmp_path):
    server = bronze.app.server
    server.execute("alter user current_user() require ssl")
    try:
        with pytest.raises(SourceError, match=r"that MYSQL_CA_BUNDLE .* does not vouch"):
            bronze.load(bronze.connector(mysql_ca_bundle=certificate_in(tmp_path).authority, http_retries=1))
        with pytest.raises(SourceError, match=r"MYSQL_CA_BUNDLE names .*, which is no file"):
            bronze.connector(mysql_ca_bundle=tmp_path / "nothing.pem")
        loaded = bronze.load(bronze.connector(mysql_ca_bundle=server.ca_file))
    finally:
        server.execute("alter user current_user() require none")
    assert loaded.receipt.landed == len(bronze.app.truth())
    bronze.agrees_with_truth()


@pytest.mark.parametrize(
    ("dsn", "error", "says"),
    [
        ("mysql://platform:not-it@127.0.0.1:{port}/app", CredentialsRefused, "password in MYSQL_DSN"),
        ("mysql://platform:s3cret@127.0.0.1:1/app", SourceError, "MYSQL_DSN names the right host"),
        ("mysql://platform:s3cret@no-such-host.invalid/app", SourceError, "MYSQL_DSN names the right host"),
        ("mysql://platform:{password}@127.0.0.1:{port}/nope", CredentialsRefused, "MYSQL_DSN"),
        (
            "postgresql://platform:s3cret@127.0.0.1/app",
            SourceError,
            "mysql://user:password@host:port/database",
        ),
        (None, CredentialsRefused, "MYSQL_DSN is not set"),
    ],
    ids=["password", "port", "host", "database", "form", "unset"],
)
def test_what_is_wrong_with_the_dsn_is_said_without_its_secret(bronze, dsn, error, says):
    server = bronze.app.server
    given = dsn and dsn.format(port=server.port, password=server.password)
    with pytest.raises(error, match=says) as raised:
        bronze.load(bronze.connector(mysql_dsn=given, http_retries=1))
    for secret in ("not-it", "s3cret", server.password):
        assert secret not in str(raised.value)
