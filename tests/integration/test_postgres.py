"""What lands from PostgreSQL is what is there, load after load, whatever happens in between."""

import json
from collections.abc import Iterator

import pytest

from data_platform.bronze.load import Loaded, load
from data_platform.connectors.postgres.connector import Postgres
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.sources.postgres import TABLES
from sandbox.postgres.server import PostgresServer
from sandbox.postgres.shop import ShopDatabase
from sandbox.world.company import Sizes, World
from sandbox.world.shop import Shop, Unheld


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


class Loading:
    """The shop's database, and a lake that it is loaded into."""

    def __init__(self, server: PostgresServer, lake: Lake) -> None:
        self.server = server
        self.lake = lake
        self.shop = Shop(World(sizes=Sizes(accounts=30, contacts=300, leads=20, opportunities=20)))
        self.database = ShopDatabase(server, self.shop)
        self.database.fill()

    def load(self, table: SourceTable, commit_rows: int = 50_000) -> Loaded:
        settings = Settings(_env_file=None, postgres_dsn=self.server.dsn)
        return load(table, Postgres(settings), self.lake, commit_rows)

    def newest(self, table: SourceTable) -> dict:
        """Each live key's newest row: what silver makes of bronze."""
        rows = self.lake.bronze(table).query("select * from held").to_pylist()
        rows.sort(key=lambda row: (row["_order"], row["_batch"]))
        by_key = {tuple(row[name] for name in table.key): row for row in rows}
        return {key: row for key, row in by_key.items() if row["_op"] == "upsert"}

    def agrees(self, table: SourceTable) -> None:
        """Every live row with every declared column, and no other."""
        truth = self.shop.rows[table.name]
        live = self.newest(table)
        assert live.keys() == {(key,) for key in truth}
        for (key,), row in live.items():
            for column in table.columns:
                true = truth[key][column.name]
                landed = row[column.name]
                if column.type.kind == "json" and landed is not None:
                    landed = json.loads(landed)
                assert landed == (None if isinstance(true, Unheld) else true), (key, column.name)
            assert json.loads(row["_rescued"] or "{}") == rescued(truth[key])


def rescued(row: dict) -> dict:
    unheld = {name: value for name, value in row.items() if isinstance(value, Unheld)}
    return {name: float(value) if value[0].isdigit() else str(value) for name, value in unheld.items()}


@pytest.fixture
def loading(server: PostgresServer, lake: Lake) -> Iterator[Loading]:
    yield Loading(server, lake)
    server.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'data_platform%%'"
    )
    server.execute("drop schema public cascade; create schema public")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_first_load_lands_every_row_as_it_is(loading, table):
    loaded = loading.load(table)
    loading.agrees(table)
    rows = len(loading.shop.rows[table.name])
    assert (loaded.receipt.offered, loaded.receipt.landed) == (rows, rows)
    assert not loaded.drift


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_day_lands_what_changed_and_no_more(loading, table):
    loading.load(table)
    for _ in range(3):
        loading.database.live_a_day()
        loaded = loading.load(table)
        loading.agrees(table)
        assert 0 < loaded.receipt.landed < len(loading.shop.rows[table.name]) / 5
    assert loading.load(table).receipt.landed == 0
