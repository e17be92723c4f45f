"""Reading a source's pages in order: fetched ahead of the decoding, and decoded ahead of the writing."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import ReadAgain
from data_platform.connectors.http import Unreadable
from data_platform.connectors.records import Rows

Page = TypeVar("Page")
Made = TypeVar("Made", Rows, pa.RecordBatch)

# Pages that wait while a file is being written.
AHEAD = 4


def read_pages(source: str, pages: Iterator[Page], read: Callable[[Page], Made]) -> Iterator[Made]:
    """The rows of each page that holds any."""
    try:
        for rows in worked_ahead(read, read_ahead(pages, AHEAD)):
            if len(rows):
                yield rows
    except Unreadable as trouble:
        raise ReadAgain(f"{source} sent a page that can't be read: {trouble}") from None
