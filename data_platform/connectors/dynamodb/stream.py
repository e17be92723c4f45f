"""Reading a stream's shards on from their places, many at once, up to what was in them when the load began."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from data_platform.connectors.aws import CONNECTIONS
from data_platform.connectors.dynamodb.session import IteratorExpired, Page, Record, Session
from data_platform.connectors.dynamodb.shards import ENDED, Place, Places, Shards, children_of

RECORDS_AT_ONCE = 1_000
# The API does not say whether more is to come: it may answer with nothing before a stretch that holds records. What
# so many empty answers in a row miss is read by the next load.
EMPTY_PAGES = 3
ITERATORS = 3


@dataclass(frozen=True)
class Round:
    """A page of each shard that was asked, and where all of them stand after it."""

    records: Sequence[tuple[str, Record]]
    places: Places


class _Reading:
    """One shard, a page at a time."""

    def __init__(self, session: Session, stream: str, shard: str, place: Place) -> None:
        self.shard = shard
        self.place = place
        # Nothing more is to be read by this load.
        self.is_done = False
        self._session = session
        self._stream = stream
        self._iterator: str | None = None
        self._empty = 0

    def page(self) -> Sequence[Record]:
        page = self._asked()
        self._iterator = page.following
        if page.records:
            self.place = Place("after", page.records[-1]["dynamodb"]["SequenceNumber"])
        if page.following is None:
            self.place = ENDED
        self._empty = 0 if page.records else self._empty + 1
        return page.records

    def heed_end(self, records: Sequence[Record], is_open: bool, until: datetime) -> None:
        """A closed shard is read to its end, an open one until it has nothing that was there when the load began."""
        is_past = bool(records) and records[-1]["dynamodb"]["ApproximateCreationDateTime"] > until
        self.is_done = self.place == ENDED or (is_open and (is_past or self._empty >= EMPTY_PAGES))

    def _asked(self) -> Page:
        for _ in range(ITERATORS):
            iterator = self._iterator or self._session.iterator(self._stream, self.shard, self.place)
            try:
                return self._session.records(iterator, RECORDS_AT_ONCE)
            except IteratorExpired:
                self._iterator = None
        return self._session.records(
            self._session.iterator(self._stream, self.shard, self.place), RECORDS_AT_ONCE
        )


def followed(
    session: Session, stream: str, shards: Shards, places: Places, until: datetime
) -> Iterator[Round]:
    """The records beyond the places that were there at a moment, and perhaps some that came after it."""
    standing = dict(places)
    readings = [_Reading(session, stream, shard, place) for shard, place in places.items() if place != ENDED]
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="dynamodb-shard") as threads:
        while active := [reading for reading in readings if not reading.is_done][:CONNECTIONS]:
            records: list[tuple[str, Record]] = []
            for reading, page in zip(active, threads.map(_Reading.page, active), strict=True):
                records += [(reading.shard, record) for record in page]
                standing[reading.shard] = reading.place
                listed = shards.get(reading.shard)
                reading.heed_end(page, listed is None or listed.last is None, until)
            for reading in active:
                if reading.place == ENDED:
                    shards, children = _children(session, stream, reading.shard, shards)
                    if children:
                        del standing[reading.shard]
                        standing |= children
                        readings += [_Reading(session, stream, *child) for child in children.items()]
            if records or any(reading.place == ENDED for reading in active):
                yield Round(records, dict(standing))


def _children(session: Session, stream: str, shard: str, shards: Shards) -> tuple[Shards, Places]:
    """The shards that go on from one that ended, which may have come since the stream was listed."""
    if not (children := children_of(shard, shards)):
        shards = session.shards(stream)
        children = children_of(shard, shards)
    return shards, children


def tips(session: Session, stream: str, shards: Shards, places: Places, until: datetime) -> Places:
    """Where shards stand that were read as far as there is anything, whatever it is."""
    for round_ in followed(session, stream, shards, places, until):
        places = round_.places
    return places
