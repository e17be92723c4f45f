"""Reading a source's pages in order: fetched ahead of the decoding, and decoded ahead of the writing."""

from collections.abc import Iterator

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import ReadAgain
from data_platform.connectors.http import Unreadable
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.records import Rows

# Pages that wait while a file is being written.
AHEAD = 4


def read_pages(source: str, bodies: Iterator[bytes], pages: JsonPages) -> Iterator[Rows]:
    """The rows of each page that holds any."""
    try:
        for rows in worked_ahead(pages.read, read_ahead(bodies, AHEAD)):
            if len(rows):
                yield rows
    except Unreadable as trouble:
        raise ReadAgain(f"{source} sent a page that can't be read: {trouble}") from None
