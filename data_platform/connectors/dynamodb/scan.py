"""Reading a table whole, in segments that are asked at once; where each of them stands is known after every page."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from data_platform.connectors.aws import CONNECTIONS
from data_platform.connectors.dynamodb.position import BEFORE_ALL, Key
from data_platform.connectors.dynamodb.session import Item, Session

Segments = tuple[Key | None, ...]


def unread(segments: int) -> Segments:
    return (BEFORE_ALL,) * segments


def scanned(session: Session, segments: Segments) -> Iterator[tuple[Sequence[Item], Segments]]:
    """The items beyond the keys that the segments stand at, and the keys that they stand at then."""
    standing = list(segments)

    def page(segment: int) -> tuple[Sequence[Item], Key | None]:
        return session.scanned(segment, len(standing), standing[segment] or BEFORE_ALL)

    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="dynamodb-scan") as threads:
        while active := [number for number, key in enumerate(standing) if key is not None][:CONNECTIONS]:
            items: list[Item] = []
            for segment, (found, key) in zip(active, list(threads.map(page, active)), strict=True):
                items += found
                standing[segment] = key
            yield items, tuple(standing)
