"""Work ahead keeps the order of the items, and what came before an error is handed out."""

import threading
from collections.abc import Iterator

import pytest

from data_platform.connectors.ahead import begun_ahead, read_ahead, worked_ahead
from data_platform.connectors.base import SourceError


def test_reading_ahead_fetches_the_next_item_while_one_is_worked_on():
    fetched = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        fetched.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert fetched.wait(timeout=5)
    assert list(ahead) == [2]


def test_reading_ahead_hands_out_what_came_before_an_error():
    def items() -> Iterator[int]:
        yield 1
        raise SourceError("gone")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(SourceError, match="gone"):
        next(ahead)


def test_a_reader_that_stops_early_fetches_no_more_than_it_was_allowed():
    fetched = []

    def items() -> Iterator[int]:
        for number in range(100):
            fetched.append(number)
            yield number

    ahead = read_ahead(items(), ahead=3)
    assert next(ahead) == 0
    ahead.close()
    assert len(fetched) <= 4


def test_the_next_reading_is_begun_while_one_is_worked_on():
    begun = threading.Event()

    def second() -> Iterator[int]:
        begun.set()
        yield from (3, 4)

    readings = begun_ahead([iter([1, 2]), second()], ahead=1)
    first = next(readings)
    assert next(first) == 1
    assert begun.wait(timeout=5)
    assert list(first) == [2]
    assert [list(reading) for reading in readings] == [[3, 4]]


def test_no_reading_is_begun_behind_one_that_could_not_begin():
    begun = []

    def reading(number: int) -> Iterator[int]:
        begun.append(number)
        raise SourceError("refused")
        yield number

    with pytest.raises(SourceError, match="refused"):
        next(begun_ahead([reading(1), reading(2)], ahead=1))
    assert begun == [1]


def test_work_is_done_by_several_threads_and_handed_out_in_order():
    together = threading.Barrier(2, timeout=5)

    def work(number: int) -> int:
        if number < 2:
            together.wait()
        return number * 10

    assert list(worked_ahead(work, iter(range(5)))) == [0, 10, 20, 30, 40]


def test_what_was_worked_out_before_an_error_is_handed_out():
    def work(number: int) -> int:
        if number == 2:
            raise SourceError("unreadable")
        return number

    worked = worked_ahead(work, iter(range(5)))
    assert [next(worked), next(worked)] == [0, 1]
    with pytest.raises(SourceError, match="unreadable"):
        next(worked)


def test_an_error_in_the_work_ends_the_reading_before_it_is_met():
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    def work(item: int) -> int:
        raise SourceError("undecodable")

    with pytest.raises(SourceError, match="undecodable"):
        try:
            list(worked_ahead(work, read_ahead(items())))
        finally:
            assert closed == [True]


def test_nothing_is_read_before_somebody_asks():
    fetched = []

    def items() -> Iterator[int]:
        fetched.append(1)
        yield 1

    ahead = read_ahead(items())
    assert not fetched
    assert list(ahead) == [1]
