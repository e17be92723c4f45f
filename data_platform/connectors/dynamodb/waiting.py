"""Whether a table has changed since it was read: asked of its stream, without reading more than one record a shard."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from data_platform.connectors.aws import CONNECTIONS
from data_platform.connectors.base import Position
from data_platform.connectors.dynamodb.position import Reached
from data_platform.connectors.dynamodb.session import Session, Trimmed
from data_platform.connectors.dynamodb.shards import ENDED, Place, children_of
from data_platform.connectors.dynamodb.stream import EMPTY_PAGES
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

NEVER_READ = "it has not been read yet"
NOT_WHOLE = "it has not been read to its end"
CHANGED = "it has changed"
ANOTHER_STREAM = "it has another stream than it had"


def waiting(settings: Settings, positions: Mapping[SourceTable, Position | None]) -> dict[SourceTable, str]:
    """Why each of the tables has to be loaded; nothing, where it need not be."""
    with ThreadPoolExecutor(len(positions), thread_name_prefix="dynamodb-table") as threads:
        found = threads.map(lambda each: _why(settings, *each), positions.items())
        return dict(zip(positions, found, strict=True))


def _why(settings: Settings, table: SourceTable, position: Position | None) -> str:
    session = Session(settings, table)
    stream = session.stream()
    if not position:
        return NEVER_READ
    reached = Reached.of(position)
    if reached.stream != stream:
        return ANOTHER_STREAM
    if reached.scan is not None:
        return NOT_WHOLE
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="dynamodb-shard") as threads:
        moved = threads.map(lambda each: _has_moved(session, stream, *each), reached.shards.items())
        return CHANGED if any(moved) else ""


def _has_moved(session: Session, stream: str, shard: str, place: Place) -> bool:
    """Whether there is anything beyond the place: a record, the shard's end, or that it was trimmed."""
    if place == ENDED:
        return bool(children_of(shard, session.shards(stream)))
    try:
        iterator: str | None = session.iterator(stream, shard, place)
        for _ in range(EMPTY_PAGES):
            if iterator is None:
                return True
            page = session.records(iterator, 1)
            if page.records:
                return True
            iterator = page.following
    except Trimmed:
        return True
    return iterator is None
