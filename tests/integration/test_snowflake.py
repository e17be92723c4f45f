"""What lands from Snowflake is what the warehouse holds: load after load, however we log in."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.snowflake import Snowflake
from data_platform.connectors.snowflake.connector import Asked
from data_platform.connectors.snowflake.session import Session
from data_platform.lake.append import Appender
from data_platform.settings import Settings
from data_platform.sources.snowflake import (
    CUSTOMER_ORDERS,
    PRODUCT_CATALOG,
    TABLES,
)
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.warehouse import RawData
from sandbox.world.company import Sizes, World

BATCH = "data_platform.connectors.snowflake.session.BATCH_ROWS"


@pytest.fixture(scope="module")
def server():
    with SnowflakeServer() as server:
        yield server


@pytest.fixture(scope="module")
def world():
    return World(sizes=Sizes(accounts=30, contacts=60, leads=30, opportunities=30))


@pytest.fixture
def raw(server, world):
    return RawData(server, world)


@pytest.fixture
def bronze(raw, lake):
    return Bronze(raw, lake)


@pytest.fixture
def unfilled(server, lake):
    """For what goes wrong before any table is looked at."""
    return Bronze(SimpleNamespace(server=server), lake)


class Bronze:
    """The warehouse's raw tables in a lake of their own."""

    def __init__(self, raw, lake):
        self.raw = raw
        self.lake = lake

    def connector(self, login=None, **settings):
        server = self.raw.server
        given = server.settings() if login is None else server.settings_without_login() | login
        given = {name.lower(): value for name, value in given.items()}
        return Snowflake(Settings(_env_file=None, **(given | settings)))

    def load(self, table=CUSTOMER_ORDERS, connector=None, commit_rows=50_000):
        return load(table, connector or self.connector(), self.lake, commit_rows)

    def rows(self, table=CUSTOMER_ORDERS):
        held = self.lake.bronze(table).query("select * from held order by updated_at, _batch")
        return held.to_pylist()

    def newest(self, table=CUSTOMER_ORDERS):
        return {row[table.key[0]]: row for row in self.rows(table)}

    def agrees_with_truth(self, table=CUSTOMER_ORDERS):
        """Every row that is there in every declared column, no other row, and no version twice."""
        rows = self.rows(table)
        live = {key: row for key, row in self.newest(table).items() if row["_op"] == "upsert"}
        truth = self.raw.truth(table.name)
        assert live.keys() == truth.keys()
        for key, row in live.items():
            assert {name: _meant(name, row[name]) for name in truth[key]} == {
                name: _meant(name, value) for name, value in truth[key].items()
            }
            assert row["_rescued"] is None
        key = table.key[0]
        assert len({(row[key], row["updated_at"], row["_op"]) for row in rows}) == len(rows)


def _meant(name, value):
    """A variant is what its JSON says, whatever its spaces."""
    return json.loads(value) if name == "attributes" and value else value


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_first_load_lands_every_row_as_it_is(bronze, table):
    loaded = bronze.load(table)
    bronze.agrees_with_truth(table)
    assert loaded.receipt.offered == loaded.receipt.landed == len(bronze.raw.truth(table.name)) > 0
    assert loaded.drift == []
    assert {row["_origin"] for row in bronze.rows(table)} == {f"Snowflake {table.reads}"}


def test_each_day_only_what_changed_is_landed(bronze):
    for table in TABLES:
        bronze.load(table)
    for _ in range(3):
        did = bronze.raw.advance()
        for table in TABLES:
            assert bronze.load(table).receipt.landed == did[table.name]
    for table in TABLES:
        bronze.agrees_with_truth(table)


def test_values_keep_their_meaning(bronze):
    keys = sorted(bronze.raw.truth("customer_orders"))[:3]
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    bronze.raw.update("customer_orders", keys[:1], amount=Decimal("9999999999999999.99"), quantity=2**62)
    bronze.raw.update("customer_orders", keys[1:2], status='it\'s "a" \\ 日本', order_date=date(9999, 12, 31))
    bronze.raw.update("customer_orders", keys[2:3], shipped_at=moment, currency=None, updated_at=moment)
    bronze.load()
    bronze.agrees_with_truth()
    assert bronze.newest()[keys[0]]["amount"] == Decimal("9999999999999999.99")
    assert bronze.newest()[keys[2]]["shipped_at"] == moment


def test_a_quiet_table_lands_nothing_and_commits_nothing(bronze):
    bronze.load()
    before = bronze.load()
    again = bronze.load()
    assert (again.receipt.landed, again.batch, again.position) == (0, before.batch, before.position)


def test_rows_deleted_without_a_trace_are_found_by_their_keys(bronze, monkeypatch):
    bronze.load()
    gone = sorted(bronze.raw.truth("customer_orders"))[5:8]
    bronze.raw.delete("customer_orders", gone)
    assert bronze.load().receipt.landed == 0
    usual = Asked.now
    monkeypatch.setattr(Asked, "now", lambda asked: usual(asked) + timedelta(days=2))
    assert bronze.load().receipt.landed == 3
    assert {key for key, row in bronze.newest().items() if row["_op"] == "delete"} == set(gone)
    bronze.agrees_with_truth()


class Killed(BaseException):
    """The process ends here."""


def kill_after_a_commit(monkeypatch):
    usual = Appender.commit

    def commit(self, note):
        usual(self, note)
        raise Killed

    monkeypatch.setattr(Appender, "commit", commit)


def test_a_load_killed_again_and_again_goes_on_inside_and_lands_nothing_twice(bronze, monkeypatch):
    # One moment for all rows, so that every edge lies inside it; long ago, so that no overlap reads it again.
    long_ago = bronze.raw.now() - timedelta(days=3)
    bronze.raw.update("customer_orders", bronze.raw.truth("customer_orders"), updated_at=long_ago)
    monkeypatch.setattr(BATCH, 15)
    for number in (1, 2, 3):
        with monkeypatch.context() as patched:
            kill_after_a_commit(patched)
            with pytest.raises(Killed):
                bronze.load(commit_rows=15)
        assert len(bronze.rows()) == 15 * number
    loaded = bronze.load(commit_rows=15)
    assert loaded.receipt.offered == len(bronze.raw.truth("customer_orders")) - 45
    bronze.agrees_with_truth()


def test_a_row_that_shows_late_lands_with_the_next_load(bronze):
    bronze.load()
    keys = sorted(bronze.raw.truth("customer_orders"))
    late = bronze.raw.now() - timedelta(minutes=5)
    bronze.raw.update("customer_orders", keys[:1], status="shipped")
    bronze.load()
    bronze.raw.update("customer_orders", keys[1:2], status="returned", updated_at=late)
    loaded = bronze.load()
    assert (loaded.receipt.landed, loaded.receipt.overlap) == (1, 1)


def test_a_session_that_ends_in_mid_read_is_read_again(bronze, monkeypatch):
    monkeypatch.setattr(BATCH, 20)
    usual, falls = Session.ask, [True]

    def ask(self, question):
        if "count(*)" in question and falls and falls.pop():
            bronze.raw.server.restart()
        return usual(self, question)

    monkeypatch.setattr(Session, "ask", ask)
    loaded = bronze.load()
    assert not falls
    assert loaded.receipt.complete
    bronze.agrees_with_truth()


def test_a_new_a_lost_and_a_widened_column_are_told_and_nothing_of_them_is_lost(bronze):
    execute, table = bronze.raw.server.execute, "RAW_DATA.PUBLIC.CUSTOMER_ORDERS"
    execute(f"alter table {table} add column region varchar")
    execute(f"alter table {table} drop column status")
    execute(f"alter table {table} alter column amount set data type number(20, 4)")
    keys = sorted(bronze.raw.truth("customer_orders"))
    execute(f"update {table} set region = 'north', amount = 1.2345 where order_id = %s", [keys[0]])
    loaded = bronze.load()
    assert {(drift.column, drift.kind) for drift in loaded.drift} == {
        ("REGION", "new"),
        ("status", "lost"),
        ("amount", "type"),
    }
    changed = bronze.newest()[keys[0]]
    assert (changed["amount"], changed["status"]) == (None, None)
    assert json.loads(changed["_rescued"], parse_float=Decimal) == {
        "REGION": "north",
        "amount": Decimal("1.2345"),
    }


def test_every_way_to_log_in_leads_in(bronze):
    server = bronze.raw.server
    client, secret = server.client
    ways = {
        "password": {"SNOWFLAKE_PASSWORD": server.password},
        "key": {"SNOWFLAKE_PRIVATE_KEY": server.private_key},
        "token": {"SNOWFLAKE_OAUTH_TOKEN": server.token},
        "client": {
            "SNOWFLAKE_OAUTH_CLIENT_ID": client,
            "SNOWFLAKE_OAUTH_CLIENT_SECRET": secret,
            "SNOWFLAKE_OAUTH_TOKEN_URL": server.token_url,
        },
    }
    for way, login in ways.items():
        before = len(server.logins())
        assert bronze.load(connector=bronze.connector(login)).receipt.complete, way
        assert len(server.logins()) == before + 1, way


def test_a_session_says_its_warehouse_role_and_what_it_is_for(bronze):
    bronze.load()
    said = bronze.raw.server.logins()[-1]
    assert (said["warehouse"], said["roleName"]) == ("ETL_WH", "ETL_READER")
    assert said["QUERY_TAG"] == "data_platform bronze/snowflake/customer_orders"
    assert said["TIMEZONE"] == "UTC"


@pytest.mark.parametrize(
    ("login", "settings", "error", "says"),
    [
        (
            {"SNOWFLAKE_PASSWORD": "s3cret"},
            {},
            CredentialsRefused,
            "SNOWFLAKE_USERNAME and SNOWFLAKE_PASSWORD",
        ),
        ({"SNOWFLAKE_OAUTH_TOKEN": "s3cret"}, {}, CredentialsRefused, "SNOWFLAKE_OAUTH_TOKEN"),
        (
            {"SNOWFLAKE_PRIVATE_KEY": "s3cret"},
            {},
            CredentialsRefused,
            "SNOWFLAKE_PRIVATE_KEY is no private key",
        ),
        ({}, {}, CredentialsRefused, "SNOWFLAKE_PASSWORD is not set"),
        (None, {"snowflake_account": None}, CredentialsRefused, "SNOWFLAKE_ACCOUNT is not set"),
        (
            None,
            {"snowflake_port": 1, "database_login_timeout": 1},
            SourceError,
            "SNOWFLAKE_HOST and SNOWFLAKE_PORT",
        ),
    ],
    ids=["password", "token", "key", "nothing", "account", "port"],
)
def test_what_is_wrong_with_the_login_is_said_without_its_secret(unfilled, login, settings, error, says):
    with pytest.raises(error, match=says) as raised:
        unfilled.load(connector=unfilled.connector(login, **settings))
    assert "s3cret" not in str(raised.value)
    assert unfilled.raw.server.password not in str(raised.value)


def test_a_wrong_client_secret_is_a_refused_login(unfilled):
    login = {
        "SNOWFLAKE_OAUTH_CLIENT_ID": "etl-client",
        "SNOWFLAKE_OAUTH_CLIENT_SECRET": "s3cret",
        "SNOWFLAKE_OAUTH_TOKEN_URL": unfilled.raw.server.token_url,
    }
    with pytest.raises(CredentialsRefused, match="SNOWFLAKE_OAUTH_CLIENT_SECRET") as raised:
        unfilled.load(connector=unfilled.connector(login))
    assert "s3cret" not in str(raised.value)


def test_a_table_that_is_not_there_is_an_error_that_says_where_to_look(bronze):
    bronze.raw.server.execute("drop table RAW_DATA.PUBLIC.PRODUCT_CATALOG")
    with pytest.raises(SourceError, match=r"error 2003\).*warehouse ETL_WH"):
        bronze.load(PRODUCT_CATALOG)
