"""Where a stream's shards are read on: parents before children, none twice, none forgotten."""

import pytest

from data_platform.connectors.base import SourceError
from data_platform.connectors.dynamodb.shards import ENDED, Place, Shard, lost, opened, taken_up


def tree(*shards: tuple[str, str | None, int, int | None]) -> dict[str, Shard]:
    return {
        name: Shard(name, parent, str(first), None if last is None else str(last))
        for name, parent, first, last in shards
    }


ROOT, LEFT, RIGHT = ("root", None, 1, 9), ("left", "root", 10, 19), ("right", "root", 11, None)
LEAF = ("leaf", "left", 20, None)
WHOLE = tree(LEAF, RIGHT, LEFT, ROOT)


def test_the_first_read_begins_in_the_shards_that_are_open():
    assert opened(WHOLE) == {"leaf": Place("at", "20"), "right": Place("at", "11")}


@pytest.mark.parametrize(
    "places",
    [
        {"root": Place("after", "5")},
        {"left": Place("after", "12"), "right": Place("at", "11")},
        {"leaf": Place("after", "21"), "right": Place("after", "30")},
    ],
)
def test_shards_that_lead_to_a_place_or_away_from_it_are_not_begun(places):
    assert taken_up(WHOLE, places) == places


def test_the_children_of_a_shard_that_ended_take_its_place():
    assert taken_up(WHOLE, {"root": ENDED}) == {"left": Place("at", "10"), "right": Place("at", "11")}
    assert taken_up(WHOLE, {"left": ENDED, "right": Place("after", "12")}) == {
        "leaf": Place("at", "20"),
        "right": Place("after", "12"),
    }


def test_a_shard_that_ended_waits_for_children_as_long_as_it_is_listed():
    alone = tree(ROOT)
    assert taken_up(alone, {"root": ENDED}) == {"root": ENDED}
    assert taken_up(tree(("other", None, 40, None)), {"root": ENDED}) == {"other": Place("at", "40")}


def test_a_shard_that_belongs_to_no_known_one_is_begun_and_its_children_wait():
    fresh = tree(ROOT, ("new", None, 50, 60), ("newer", "new", 61, None))
    assert taken_up(fresh, {"root": Place("after", "3")}) == {
        "root": Place("after", "3"),
        "new": Place("at", "50"),
    }


def test_what_is_gone_or_begins_later_than_it_did_is_lost_unless_it_was_read_to_its_end():
    assert lost(WHOLE, {"gone": Place("after", "3"), "left": Place("at", "10"), "over": ENDED}) == ["gone"]
    assert lost(WHOLE, {"left": Place("at", "7"), "right": Place("after", "2")}) == ["left"]


@pytest.mark.parametrize("place", [Place("after", "123"), Place("at", "1"), ENDED])
def test_a_place_is_read_as_it_was_written(place):
    assert Place.of(str(place)) == place


def test_what_is_no_place_is_told():
    with pytest.raises(SourceError, match=r"'LATEST' is no place in a shard"):
        Place.of("LATEST")
