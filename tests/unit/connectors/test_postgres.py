"""What PostgreSQL writes, decoded: arrays, and the messages of its WAL."""

import struct

import pytest

from data_platform.connectors.base import SourceError
from data_platform.connectors.postgres.arrays import array_items
from data_platform.connectors.postgres.pgoutput import Change, Committed, Decoder, Unchanged
from data_platform.connectors.postgres.slots import number_of


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("{}", []),
        ("{1,2}", ["1", "2"]),
        ('{a,NULL,"NULL",""}', ["a", None, "NULL", ""]),
        ('{"say \\"hi\\"","back\\\\slash","{,}"}', ['say "hi"', "back\\slash", "{,}"]),
        ("{{1,2},{3,4}}", [["1", "2"], ["3", "4"]]),
        ("[2:3]={7,8}", ["7", "8"]),
    ],
)
def test_an_array_is_the_list_that_it_stands_for(text, items):
    assert array_items(text, str) == items


def test_a_log_position_is_the_number_that_it_is():
    assert number_of("16/B374D848") == 0x16B374D848


def begin(commit: int) -> bytes:
    return b"B" + struct.pack(">QqI", commit, 0, 1)


def commit(lsn: int, end: int) -> bytes:
    return b"C" + struct.pack(">BQQq", 0, lsn, end, 0)


def relation(*names: str) -> bytes:
    columns = b"".join(b"\x01" + name.encode() + b"\0" + struct.pack(">Ii", 25, -1) for name in names)
    return b"R" + struct.pack(">I", 1) + b"public\0notes\0d" + struct.pack(">h", len(names)) + columns


def row(*values: str | Unchanged | None) -> bytes:
    parts = [struct.pack(">h", len(values))]
    for value in values:
        match value:
            case None:
                parts.append(b"n")
            case str(text):
                parts.append(b"t" + struct.pack(">i", len(text.encode())) + text.encode())
            case _:
                parts.append(b"u")
    return b"".join(parts)


def told(*messages: bytes, start: int = 0, end: int = 1_000) -> list[tuple]:
    decoder = Decoder({25: "text"}, ("id",))
    return [
        (each.op, each.commit, each.place, each.values) if isinstance(each, Change) else each
        for each in decoder.changes(messages, start, end)
    ]


INSERT = b"I" + struct.pack(">I", 1) + b"N"
UPDATE = b"U" + struct.pack(">I", 1)
DELETE = b"D" + struct.pack(">I", 1) + b"K"
TRUNCATE = b"T" + struct.pack(">IBI", 1, 0, 1)


def test_changes_are_numbered_within_their_commit():
    messages = [begin(10), relation("id", "body"), INSERT + row("1", "ü"), DELETE + row("1", None), TRUNCATE]
    assert told(*messages, commit(10, 12)) == [
        ("upsert", 10, 1, ("1", "ü")),
        ("delete", 10, 2, ("1", None)),
        ("truncate", 10, 3, ()),
        Committed(12),
    ]


def test_a_changed_key_deletes_the_old_one_first():
    moved = UPDATE + b"K" + row("1", None) + b"N" + row("2", Unchanged.VALUE)
    assert told(begin(10), relation("id", "body"), moved) == [
        ("delete", 10, 1, ("1", None)),
        ("upsert", 10, 2, ("2", Unchanged.VALUE)),
    ]


def test_a_whole_old_row_completes_the_new_one_and_its_same_key_deletes_nothing():
    changed = UPDATE + b"O" + row("1", "long") + b"N" + row("1", Unchanged.VALUE)
    assert told(begin(10), relation("id", "body"), changed) == [("upsert", 10, 1, ("1", "long"))]


def test_transactions_before_the_start_and_from_the_end_on_are_left_out():
    messages = [
        *(begin(10), relation("id"), INSERT + row("1"), commit(10, 12)),
        *(begin(20), INSERT + row("2"), commit(20, 22)),
        *(begin(30), INSERT + row("3"), commit(30, 32)),
    ]
    assert told(*messages, start=12, end=30) == [("upsert", 20, 1, ("2",)), Committed(22)]


def test_a_shape_that_is_told_again_holds_from_then_on():
    decoder = Decoder({25: "text"}, ("id",))
    messages = [begin(10), relation("id"), INSERT + row("1"), relation("id", "more"), INSERT + row("2", "x")]
    shapes = [[column.name for column in change.shape.columns] for change in decoder.changes(messages, 0, 99)]
    assert shapes == [["id"], ["id", "more"]]


def test_a_value_of_an_unknown_kind_is_refused():
    with pytest.raises(SourceError, match="kind 'b'"):
        told(begin(10), relation("id"), INSERT + struct.pack(">h", 1) + b"b")
