"""The place of a file in time: read from its key, in whatever way its writer lays out days."""

from datetime import date, timedelta

import pytest

from data_platform.connectors.landing.position import Reached, dated
from data_platform.connectors.landing.storage import Found

DAY = date(2026, 11, 5)
LAYOUTS = {
    "raw/x/2026/11/05/part-0": "raw/x/%Y/%m/%d",
    "raw/x/flow/2026-11-05.json": "raw/x/flow/%Y-%m-%d",
    "raw/x/dt=2026-11-05/part": "raw/x/dt=%Y-%m-%d",
    "raw/x/year=2026/month=11/day=05/part": "raw/x/year=%Y/month=%m/day=%d",
    "raw/x/100%/2026/11/05/12/part": "raw/x/100%%/%Y/%m/%d",
    "raw/x/2026/13/05/2026/11/05/part": "raw/x/2026/13/05/%Y/%m/%d",
}


@pytest.mark.parametrize(("key", "layout"), LAYOUTS.items())
def test_a_key_tells_its_layout_and_its_day(key, layout):
    assert dated(key) == (layout, DAY)
    assert key.startswith(DAY.strftime(layout))


@pytest.mark.parametrize(
    "key", ["raw/x/part-0", "raw/x/20261105/part", "raw/x/2026/11/051/part", "raw/x/2026/02/30/part"]
)
def test_what_is_no_date_is_not_taken_for_one(key):
    assert dated(key) is None


def test_a_position_is_what_was_read_of_the_newest_days():
    reached = Reached.of(None, timedelta(days=2), today=date(2026, 12, 1))
    objects = [Found(f"raw/x/2026/11/{day:02d}/part", "etag", 1) for day in range(1, 6)]
    reached.take([*objects, Found("raw/x/part", "etag", 1)])
    again = Reached.of(reached.position, timedelta(days=2), today=date(2026, 12, 1))
    assert again == reached
    assert list(again.layouts["raw/x/%Y/%m/%d"]) == [date(2026, 11, day) for day in (3, 4, 5)]
    assert [again.knows(found) for found in objects] == [False, False, True, True, True]
    assert not again.knows(Found("raw/x/2026/11/05/part", "another", 1))
