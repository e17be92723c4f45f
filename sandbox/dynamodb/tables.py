"""The app's tables in a DynamoDB: made with their streams, filled, and written to as the app does."""

from collections.abc import Iterable, Mapping
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from sandbox.dynamodb.server import DynamoDBServer
from sandbox.world.campaigns import KEYS, Campaigns, Happened, Item, Key, Table

BATCH = 25
_SERIALIZER = TypeSerializer()


def attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as DynamoDB's API writes it."""
    return {name: _SERIALIZER.serialize(value) for name, value in item.items()}


class CampaignTables:
    """The tables of a `Campaigns`, which holds the truth of them."""

    def __init__(self, server: DynamoDBServer, campaigns: Campaigns) -> None:
        self.server = server
        self.client = server.client()
        self.campaigns = campaigns

    def create(self, table: Table, view: str = "NEW_AND_OLD_IMAGES") -> None:
        names = KEYS[table]
        self.client.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )

    def drop(self, table: Table) -> None:
        self.client.delete_table(TableName=table)

    def fill(self) -> None:
        """Both tables, with all that there is."""
        for table in KEYS:
            self.create(table)
            self.put_all(table, self.campaigns.rows[table].values())

    def put_all(self, table: Table, items: Iterable[Item]) -> None:
        requests = [{"PutRequest": {"Item": attributes(item)}} for item in items]
        for start in range(0, len(requests), BATCH):
            waiting = {table: requests[start : start + BATCH]}
            while waiting:
                waiting = self.client.batch_write_item(RequestItems=waiting).get("UnprocessedItems")

    def live_a_day(self) -> None:
        for change in self.campaigns.live_a_day():
            self.apply(change)

    def apply(self, change: Happened) -> None:
        if change.item is None:
            self.delete(change.table, change.key)
        else:
            self.client.put_item(TableName=change.table, Item=attributes(change.item))

    def put(self, table: Table, item: Item) -> None:
        """An item beside those of the company's day; the truth knows of it."""
        first, second = KEYS[table]
        self.campaigns.rows[table][item[first], item[second]] = item
        self.client.put_item(TableName=table, Item=attributes(item))

    def take_away(self, table: Table, key: Key) -> None:
        """As `put`."""
        del self.campaigns.rows[table][key]
        self.delete(table, key)

    def delete(self, table: Table, key: Key) -> None:
        named = dict(zip(KEYS[table], key, strict=True))
        self.client.delete_item(TableName=table, Key=attributes(named))
