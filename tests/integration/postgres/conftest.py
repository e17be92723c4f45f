"""A PostgreSQL for all of these tests; to each a shop's tables in it, and a lake that they are loaded into."""

import json
from collections.abc import Iterator

import pytest

from data_platform.bronze.load import Loaded, load
from data_platform.connectors.postgres.connector import Postgres
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from sandbox.postgres.server import PostgresServer
from sandbox.postgres.shop import ShopDatabase
from sandbox.world.company import Sizes, World
from sandbox.world.shop import Shop, Unheld
from tests.integration.killed import Killed, KilledWhileReading


class Loading:
    """The shop's database, and a lake that it is loaded into."""

    def __init__(self, server: PostgresServer, lake: Lake) -> None:
        self.server = server
        self.lake = lake
        self.execute = server.execute

    def fill_shop(self) -> None:
        self.shop = Shop(World(sizes=Sizes(accounts=30, contacts=300, leads=20, opportunities=20)))
        self.database = ShopDatabase(self.server, self.shop)
        self.database.fill()

    def connector(self, dsn: str | None = None) -> Postgres:
        return Postgres(Settings(_env_file=None, postgres_dsn=dsn or self.server.dsn))

    def load(self, table: SourceTable, commit_rows: int = 50_000) -> Loaded:
        return load(table, self.connector(), self.lake, commit_rows)

    def load_killed(self, table: SourceTable, after: int, commit_rows: int = 1) -> None:
        """A load that is killed after so many batches, the ones before the last committed."""
        with pytest.raises(Killed):
            load(table, KilledWhileReading(self.connector(), after), self.lake, commit_rows)

    def rows(self, table: SourceTable) -> list[dict]:
        """All that landed, in the order of the source."""
        rows = self.lake.bronze(table).query("select * from held").to_pylist()
        return sorted(rows, key=lambda row: (*(row[name] for name in table.cursors), row["_batch"]))

    def newest(self, table: SourceTable) -> dict:
        """Each live key's newest row: what silver makes of bronze."""
        by_key = {tuple(row[name] for name in table.key): row for row in self.rows(table)}
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
            assert json.loads(row["_rescued"] or "{}") == _rescued(truth[key])

    def agrees_with_database(self, table: SourceTable) -> None:
        """For tables of text and whole numbers: what is alive is what a query shows."""
        names = [column.name for column in table.columns]
        there = self.execute(f"select {', '.join(names)} from {table.reads}")
        landed = [tuple(row[name] for name in names) for row in self.newest(table).values()]
        assert sorted(landed, key=str) == sorted(there, key=str)


def _rescued(row: dict) -> dict:
    unheld = {name: value for name, value in row.items() if isinstance(value, Unheld)}
    return {name: float(value) if value[0].isdigit() else str(value) for name, value in unheld.items()}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def loading(postgres_server: PostgresServer, lake: Lake) -> Iterator[Loading]:
    yield Loading(postgres_server, lake)
    # A load that failed may still be seen to the end by what pytest keeps of it.
    postgres_server.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'data_platform'"
    )
    postgres_server.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
    postgres_server.execute("drop schema public cascade; create schema public")


@pytest.fixture
def shop(loading: Loading) -> Loading:
    loading.fill_shop()
    return loading


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small tables come in many batches too."""
    monkeypatch.setattr("data_platform.connectors.postgres.session.BATCH_BYTES", 2_000)
    monkeypatch.setattr("data_platform.connectors.postgres.capture.CHANGES_PER_BATCH", 5)
