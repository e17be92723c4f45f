"""Reading by REST: a query's pages in order."""

import logging
import re
from collections.abc import Iterator, Sequence

import msgspec

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import SourceError
from data_platform.connectors.http import Unreadable
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.records import Rows
from data_platform.connectors.salesforce.api import Org, Refused
from data_platform.connectors.salesforce.soql import Place, Question
from data_platform.declarations import Column

log = logging.getLogger(__name__)

TRIES_WITHOUT_A_ROW = 3
# Pages that wait while a file is being written.
AHEAD = 4

# In a string's value the quotes would be escaped, so this can only be the page's own.
_NEXT_PAGE = re.compile(rb'"nextRecordsUrl"\s*:\s*("[^"]+")')


def read_rest(
    org: Org, question: Question, columns: Sequence[Column], undeclared: Sequence[str]
) -> Iterator[Rows]:
    """The rows of a question in the order of cursor and key. Where the vendor forgets a query in the middle,
    it is asked again from the last row that was handed out."""
    pages = JsonPages(columns, under="records", undeclared=undeclared, ignored=("attributes",))
    reached = asked_from = question.after
    fruitless = 0
    while True:
        try:
            for rows in worked_ahead(pages.read, read_ahead(_bodies(org, question), AHEAD)):
                if len(rows):
                    yield rows
                    reached = last_place(rows, question)
            return
        except (Refused, Unreadable) as trouble:
            if isinstance(trouble, Refused) and trouble.code != "INVALID_QUERY_LOCATOR":
                raise
            fruitless = fruitless + 1 if reached == asked_from else 0
            if fruitless == TRIES_WITHOUT_A_ROW:
                raise SourceError(
                    f"Salesforce's {question.reads} can't be read any further: {trouble}. Run again later; "
                    "the position stands"
                ) from None
        log.info("Salesforce's %s is asked again from the last row read", question.reads)
        question, asked_from = question if reached is None else question.beyond(reached), reached


def last_place(rows: Rows, question: Question) -> Place:
    cursor, key = rows.columns[question.cursor][-1].as_py(), rows.columns[question.key][-1].as_py()
    if cursor is None or key is None:
        raise SourceError(
            f"Salesforce's {question.reads} holds a row without a readable {question.cursor} or "
            f"{question.key}, so there is no place to go on from. Check how both are declared"
        )
    return Place(cursor, key)


def _bodies(org: Org, question: Question) -> Iterator[bytes]:
    answer = org.call("GET", "queryAll", params={"q": question.select_in_order})
    yield answer.content
    while following := _NEXT_PAGE.search(answer.content):
        answer = org.call("GET", msgspec.json.decode(following[1], type=str))
        yield answer.content
