"""The app's campaigns in DynamoDB, for loads to be disturbed: what lets them come in many batches, and what is true."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from data_platform.declarations import SourceTable
from data_platform.sources.dynamodb import USER_CAMPAIGN
from sandbox.dynamodb.server import DynamoDBServer
from sandbox.dynamodb.streams import ShardedStreams
from sandbox.dynamodb.tables import CampaignTables
from sandbox.world.campaigns import KEYS, Campaigns, Item
from sandbox.world.company import Sizes, World
from tests.faults.launcher import Constant
from tests.faults.loads import Key, Note
from tests.faults.result import Row

SMALL = Sizes(accounts=20, contacts=150, leads=20, opportunities=20)
MISFITS = ("points_of_text", "points_too_long", "undeclared_attribute", "task_with_more")


def as_landed(table: SourceTable, item: Item) -> dict[str, Any]:
    """An item as bronze must hold it: what fits no column is rescued."""
    row = {column.name: _held(column.name, item.get(column.name)) for column in table.columns}
    rescued = {name: _plain(value) for name, value in item.items() if name not in row}
    if _is_misfit(item.get("points")):
        row["points"], rescued["points"] = None, _plain(item["points"])
    if any("hint" in task for task in item.get("progressDetails", ())):
        rescued["progressDetails"] = _plain(item["progressDetails"])
    return row | {"_rescued": rescued or None}


def _is_misfit(points: Any) -> bool:
    is_number = points is None or isinstance(points, Decimal)
    return not is_number or (points is not None and points.as_tuple().exponent < -10)


def _held(name: str, value: Any) -> Any:
    if name in ("createdAt", "updatedAt", "taskDeadline", "completedAt") and value is not None:
        return datetime.fromisoformat(value)
    if name == "expiresAt" and value is not None:
        return datetime.fromtimestamp(int(value), UTC)
    if name == "progressDetails" and value is not None:
        fields = ("taskID", "progress", "attempts", "completedAt")
        return [{field: _held(field, task.get(field)) for field in fields} for task in value]
    return _plain(value) if isinstance(value, dict | set) else value


def _plain(value: Any) -> Any:
    """As JSON is read by Python."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, set):
        return sorted(map(_plain, value))
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


class UserCampaigns:
    """How far users are in campaigns, scanned in three segments and followed through shards that split."""

    name = "DynamoDB"
    table = USER_CAMPAIGN
    small = (
        Constant("data_platform.connectors.dynamodb.session:PAGE_ITEMS", 20),
        Constant("data_platform.connectors.dynamodb.stream:RECORDS_AT_ONCE", 15),
    )

    def __init__(self, server: DynamoDBServer, streams: ShardedStreams, world: World) -> None:
        self.server = server
        self.streams = streams
        self.world = world

    def settings(self) -> Mapping[str, str]:
        return {**self.streams.settings(), "DYNAMODB_SCAN_SEGMENTS": "3"}

    def begin(self) -> None:
        for table in KEYS:
            with suppress(ClientError):
                self.server.client().delete_table(TableName=table)
        self.splits = 0
        self.tables = CampaignTables(self.server, Campaigns(self.world))
        self.tables.fill()

    def change(self, note: Note) -> None:
        for _ in range(2):
            self.tables.live_a_day()
            note()
            self.rewrite()
            note()
            # Four shards are enough, which then roll over.
            self.splits += 1
            self.streams.split("user_Campaign", into=2 if self.splits <= 2 else 1)

    def rewrite(self) -> None:
        """Every item is another than it was."""
        held = self.tables.campaigns.rows["user_Campaign"]
        for key, item in held.items():
            held[key] = item | {"rewritten": item.get("rewritten", Decimal(0)) + 1}
        self.tables.put_all("user_Campaign", held.values())

    def records(self) -> Mapping[Key, Row]:
        return {
            key: as_landed(self.table, item)
            for key, item in self.tables.campaigns.rows["user_Campaign"].items()
        }

    def undecodable(self) -> Sequence[bytes]:
        return ()


class DynamoDBs:
    """A server with a stand-in for its streams: `with DynamoDBs() as dynamodbs: …`."""

    def __enter__(self) -> "DynamoDBs":
        with ExitStack() as stack:
            server = stack.enter_context(DynamoDBServer())
            streams = stack.enter_context(ShardedStreams(server))
            self.campaigns = UserCampaigns(server, streams, World(sizes=SMALL))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
