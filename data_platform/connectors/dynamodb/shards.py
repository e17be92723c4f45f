"""The shards of a stream, and where reading stands in them: a shard is read to its end before its children are begun.

Pure: what DynamoDB lists, and what a position holds, in; where to read on, out. A shard that was read to its end
leaves the position when its children take its place. One that has none yet waits for them as ended, since the stream
may tell of them late.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from data_platform.connectors.base import SourceError


@dataclass(frozen=True)
class Shard:
    """A shard as the stream lists it; `last` is None while it is open."""

    id: str
    parent: str | None
    first: str
    last: str | None


@dataclass(frozen=True)
class Place:
    """Where a shard is read on: after a record; at its beginning, which has this number; or nowhere any more."""

    how: Literal["after", "at", "ended"]
    number: str = ""

    def __str__(self) -> str:
        return f"{self.how} {self.number}".strip()

    @classmethod
    def of(cls, written: str) -> Self:
        match written.split(" "):
            case ["after", number]:
                return cls("after", number)
            case ["at", number]:
                return cls("at", number)
            case ["ended"]:
                return cls("ended")
        raise SourceError(
            f"{written!r} is no place in a shard; the position says 'after <sequence number>', 'at …' or 'ended'"
        )


ENDED = Place("ended")
Shards = Mapping[str, Shard]
Places = Mapping[str, Place]


def beginning(shard: Shard) -> Place:
    return Place("at", shard.first)


def opened(shards: Shards) -> Places:
    """The shards that changes are written to now, each from its beginning."""
    return {shard.id: beginning(shard) for shard in shards.values() if shard.last is None}


def children_of(shard: str, shards: Shards) -> Places:
    return {each.id: beginning(each) for each in shards.values() if each.parent == shard}


def taken_up(shards: Shards, places: Places) -> Places:
    """The places with the shards that have come since, and without those that are over."""
    known: dict[str, Place] = {}
    for shard, place in places.items():
        children = children_of(shard, shards) if place == ENDED else {}
        if children:
            known |= {child: places.get(child, at) for child, at in children.items()}
        elif place != ENDED or shard in shards:
            known[shard] = place
    # What leads to a place has been read; what a place leads to is begun when that has.
    read = {ancestor for shard in known for ancestor in _ancestors(shard, shards)}
    for each in sorted(shards.values(), key=lambda each: len(list(_ancestors(each.id, shards)))):
        is_known = each.id in known or each.id in read
        if not is_known and not any(ancestor in known for ancestor in _ancestors(each.id, shards)):
            known[each.id] = beginning(each)
    return known


def lost(shards: Shards, places: Places) -> list[str]:
    """The shards that were not read to their end and are not there any more, or not from where they are to be read."""
    return [
        shard
        for shard, place in places.items()
        if place != ENDED
        and (shard not in shards or (place.how == "at" and int(shards[shard].first) > int(place.number)))
    ]


def _ancestors(shard: str, shards: Shards) -> Iterator[str]:
    while shard in shards and (parent := shards[shard].parent):
        yield parent
        shard = parent
