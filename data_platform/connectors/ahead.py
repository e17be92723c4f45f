"""Working ahead: what a source is asked next is fetched, and what it answered decoded, while a page is written."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(items: Iterator[Item], ahead: int = 1) -> Iterator[Item]:
    """The same items, up to so many of them fetched in a thread while those before are worked on."""
    begun = _begun(items, ahead)
    next(begun)
    yield from cast("Iterator[Item]", begun)


def _begun(items: Iterator[Item], ahead: int) -> Generator[Item | None]:
    """None as soon as the thread has begun, then the items: what has begun can be closed."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        coming = deque(thread.submit(next, items, None) for _ in range(ahead))
        yield None
        while (item := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
        _close(items)


def _close(items: Iterator[Any]) -> None:
    """What holds a session must not be left to whoever frees an error's traceback."""
    if isinstance(items, Generator):
        items.close()


def begun_ahead(readings: Iterable[Iterator[Item]], ahead: int) -> Iterator[Iterator[Item]]:
    """The same readings, each begun, up to so many items far, once the one before it has given its first item."""
    before: Iterator[Item] | None = None
    for reading in readings:
        if before is not None:
            before = chain(list(islice(before, 1)), before)
        begun = _begun(reading, ahead)
        next(begun)
        if before is not None:
            yield before
        before = cast("Iterator[Item]", begun)
    if before is not None:
        yield before


def worked_ahead(work: Callable[[Item], Result], items: Iterator[Item], threads: int = 2) -> Iterator[Result]:
    """What `work` makes of each item, in their order; worth its threads where the work leaves Python's lock alone."""
    workers = ThreadPoolExecutor(threads, thread_name_prefix="work-ahead")
    try:
        coming: deque[Future[Result]] = deque()
        for item in items:
            coming.append(workers.submit(work, item))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        workers.shutdown(cancel_futures=True)
        _close(items)
