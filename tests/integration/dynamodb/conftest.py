"""A DynamoDB for all of these tests, with a stand-in for its streams; to each the app's tables, and a lake."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from data_platform.bronze.load import Loaded, load
from data_platform.connectors.dynamodb.connector import DynamoDB
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from sandbox.dynamodb.server import DynamoDBServer
from sandbox.dynamodb.streams import ShardedStreams
from sandbox.dynamodb.tables import CampaignTables
from sandbox.world.campaigns import KEYS, Campaigns
from sandbox.world.company import Sizes, World
from tests.faults.disturbed import Meanwhile
from tests.faults.dynamodb_sources import as_landed
from tests.integration.killed import Killed


def dies() -> None:
    raise Killed


class Loading:
    """The app's tables, and a lake that they are loaded into."""

    def __init__(self, server: DynamoDBServer, lake: Lake) -> None:
        self.server = server
        self.lake = lake
        self.source: DynamoDBServer | ShardedStreams = server
        world = World(sizes=Sizes(accounts=30, contacts=150, leads=20, opportunities=20))
        self.tables = CampaignTables(server, Campaigns(world))
        self.tables.fill()

    def settings(self, **more: object) -> Settings:
        given = {name.lower(): value for name, value in self.source.settings().items()}
        return Settings(_env_file=None, **(given | more))

    def load(
        self,
        table: SourceTable,
        meanwhile: Callable[[], object] | None = None,
        after: int = 1,
        commit_rows: int = 1,
        **settings: object,
    ) -> Loaded:
        """A load, in the middle of which something may happen: before the batch after so many."""
        connector = Meanwhile(DynamoDB(self.settings(**settings)), meanwhile, after)
        return load(table, connector, self.lake, commit_rows)

    def load_killed(self, table: SourceTable, after: int) -> None:
        """A load that is killed after so many batches, the ones before the last committed."""
        with pytest.raises(Killed):
            self.load(table, dies, after)

    def rows(self, table: SourceTable) -> list[dict]:
        """All that landed, in the order of the source."""
        rows = self.lake.bronze(table).query("select * from held").to_pylist()
        return sorted(rows, key=lambda row: (row["_order"], row["_batch"]))

    def newest(self, table: SourceTable) -> dict:
        """Each live key's newest row: what silver makes of bronze."""
        by_key = {tuple(row[name] for name in table.key): row for row in self.rows(table)}
        return {key: row for key, row in by_key.items() if row["_op"] == "upsert"}

    def versions(self, table: SourceTable, key: tuple[str, str]) -> list[dict]:
        return [row for row in self.rows(table) if tuple(row[name] for name in table.key) == key]

    def agrees(self, table: SourceTable) -> None:
        """Every live row with every declared column and what was rescued, and no other."""
        truth = self.tables.campaigns.rows[table.reads]
        live = self.newest(table)
        assert live.keys() == truth.keys()
        for key, item in truth.items():
            row = live[key]
            for name in (*(c.name for c in table.columns if c.type.kind == "json"), "_rescued"):
                row[name] = row[name] and json.loads(row[name])
            expected = as_landed(table, item)
            assert {name: row[name] for name in expected} == expected, key


@pytest.fixture(scope="session")
def dynamodb_server() -> Iterator[DynamoDBServer]:
    with DynamoDBServer() as server:
        yield server


@pytest.fixture
def loading(dynamodb_server: DynamoDBServer, lake: Lake) -> Loading:
    for table in KEYS:
        with suppress(ClientError):
            dynamodb_server.client().delete_table(TableName=table)
    return Loading(dynamodb_server, lake)


@pytest.fixture
def streams(loading: Loading) -> Iterator[ShardedStreams]:
    """Shard trees in the place of DynamoDB Local's streams."""
    with ShardedStreams(loading.server) as streams:
        loading.source = streams
        yield streams


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small tables come in many batches too."""
    monkeypatch.setattr("data_platform.connectors.dynamodb.session.PAGE_ITEMS", 10)
    monkeypatch.setattr("data_platform.connectors.dynamodb.stream.RECORDS_AT_ONCE", 7)
