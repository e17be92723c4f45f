"""How far a table has been read: by its scan, and by each shard of its stream.

`_order` is era, then sequence number. Sequence numbers grow along a shard and from a shard to its children, which is
all that the changes of one item pass through. An item that was scanned lies before every change of its era. Another
era begins where the stream can't be followed on: the table is scanned again, and its items are newer than all before.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from data_platform.connectors.base import Position, SourceError
from data_platform.connectors.dynamodb.shards import Place, Places

ORDER: Final = pa.decimal128(38, 0)
# DynamoDB documents up to 40 digits, and gives 21 to 28.
_ERA: Final = 10**32

# A key as the API writes it; an empty one stands before all others.
Key = Mapping[str, Any]
BEFORE_ALL: Final[Key] = {}


@dataclass(frozen=True)
class Reached:
    """`scan` is the key that each segment stands at (None: it is done); None where the table has been read whole.

    `read_at` is when the load began that came so far.
    """

    stream: str
    era: int
    scan: tuple[Key | None, ...] | None
    shards: Places
    read_at: datetime

    @classmethod
    def of(cls, position: Position) -> "Reached":
        scan = position["scan"]
        return cls(
            position["stream"],
            position["era"],
            None if scan is None else tuple(None if key is None else _read(key) for key in scan),
            {shard: Place.of(place) for shard, place in position["shards"].items()},
            datetime.fromisoformat(position["read_at"]),
        )

    @property
    def position(self) -> dict[str, Any]:
        return {
            "stream": self.stream,
            "era": self.era,
            "scan": None
            if self.scan is None
            else [None if key is None else _written(key) for key in self.scan],
            "shards": {shard: str(place) for shard, place in self.shards.items()},
            "read_at": self.read_at.astimezone(UTC).isoformat(timespec="seconds"),
        }

    @property
    def order(self) -> int:
        """The place of items that were scanned."""
        return self.era * _ERA

    def order_of(self, sequence_number: str) -> int:
        number = int(sequence_number)
        if number >= _ERA:
            raise SourceError(
                f"{self.stream} has a sequence number of {len(sequence_number)} digits, and _order has room for 32: "
                "its changes can't be put in order. Please report this"
            )
        return self.order + number


def next_era(newest_order: int | None) -> int:
    """The era above all that has landed."""
    return 1 if newest_order is None else newest_order // _ERA + 1


def _written(key: Key) -> dict[str, Any]:
    """A key as JSON holds it."""
    return {
        name: {kind: b64encode(value).decode() if kind == "B" else value for kind, value in attribute.items()}
        for name, attribute in key.items()
    }


def _read(key: Key) -> dict[str, Any]:
    return {
        name: {kind: b64decode(value) if kind == "B" else value for kind, value in attribute.items()}
        for name, attribute in key.items()
    }
