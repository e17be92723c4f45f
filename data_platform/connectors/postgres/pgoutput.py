"""The changes of one table as PostgreSQL's `pgoutput` plugin writes them (protocol version 1), decoded.

Each change knows the LSN of its transaction's commit and its own number within it: transactions come in the order
of their commits, so the two together are the order in which the table changed.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from data_platform.connectors.base import SourceError
from data_platform.connectors.postgres.described import Found


class Unchanged(Enum):
    """Stands for a large value that an update left as it was, and that the WAL therefore does not hold."""

    VALUE = "unchanged"


Value = str | None | Unchanged


@dataclass(frozen=True)
class Shape:
    """The table's columns at the time of a change."""

    columns: tuple[Found, ...]


@dataclass(frozen=True)
class Change:
    """What became of one row. `values` are in the order of the shape's columns; a deletion knows the key alone."""

    op: str  # 'upsert', 'delete' or 'truncate'
    commit: int
    place: int
    shape: Shape
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Committed:
    """All changes of the transactions so far are told; reading goes on from `lsn`."""

    lsn: int


_INT2: Final = struct.Struct(">h")
_INT4: Final = struct.Struct(">i")
_UINT4: Final = struct.Struct(">I")
_BEGIN: Final = struct.Struct(">Q")
_COMMIT: Final = struct.Struct(">BQQ")
_COLUMN: Final = struct.Struct(">Ii")


class Decoder:
    """Reads messages one after the other; remembers the shape that they last told."""

    def __init__(self, types: Mapping[int, str], key: tuple[str, ...]) -> None:
        self._types = types
        self._key = key
        self._shape = Shape(())
        self._commit = 0
        self._place = 0

    def changes(self, messages: Iterable[bytes], start: int, end: int) -> Iterator[Change | Committed]:
        """What was committed from `start` on and before `end`; the messages may hold more on either side."""
        wanted = False
        for message in messages:
            kind = message[:1]
            if kind == b"B":
                (self._commit,) = _BEGIN.unpack_from(message, 1)
                self._place = 0
                if self._commit >= end:
                    return
                wanted = self._commit >= start
            elif kind == b"R":
                self._shape = self._told_shape(message)
            elif kind == b"C":
                _, _, lsn = _COMMIT.unpack_from(message, 1)
                if wanted:
                    yield Committed(lsn)
            elif wanted and kind in b"IUDT":
                yield from self._told_changes(kind, message)

    def _told_changes(self, kind: bytes, message: bytes) -> Iterator[Change]:
        if kind == b"T":
            yield self._change("truncate", ())
            return
        # One letter says which row follows: the new one, the old one's key, or the old one whole.
        old, at = None, 5
        if message[at : at + 1] in (b"K", b"O"):
            old, at = self._row(message, at + 1)
        if kind == b"D":
            yield self._change("delete", self._key_of(old or ()))
            return
        new, _ = self._row(message, at + 1)
        if old is not None:
            new = self._completed(new, old)
            if self._key_of(old) != self._key_of(new):
                yield self._change("delete", self._key_of(old))
        yield self._change("upsert", new)

    def _change(self, op: str, values: tuple[Value, ...]) -> Change:
        self._place += 1
        return Change(op, self._commit, self._place, self._shape, values)

    def _key_of(self, row: tuple[Value, ...]) -> tuple[Value, ...]:
        """The row with its key alone."""
        columns = self._shape.columns
        return tuple(
            value if column.name in self._key else None for column, value in zip(columns, row, strict=True)
        )

    @staticmethod
    def _completed(new: tuple[Value, ...], old: tuple[Value, ...]) -> tuple[Value, ...]:
        """With REPLICA IDENTITY FULL the old row says what was left as it was."""
        return tuple(
            before if value is Unchanged.VALUE and before is not None else value
            for value, before in zip(new, old, strict=True)
        )

    def _row(self, message: bytes, at: int) -> tuple[tuple[Value, ...], int]:
        (number,) = _INT2.unpack_from(message, at)
        at += 2
        values: list[Value] = []
        for _ in range(number):
            match message[at]:
                case 0x74:  # t, a text
                    (length,) = _INT4.unpack_from(message, at + 1)
                    values.append(message[at + 5 : at + 5 + length].decode())
                    at += 5 + length
                case 0x6E:  # n, null
                    values.append(None)
                    at += 1
                case 0x75:  # u, unchanged
                    values.append(Unchanged.VALUE)
                    at += 1
                case other:
                    raise SourceError(
                        f"a change in the WAL has a value of kind {chr(other)!r}, and expected were t, n and u; "
                        "see that the server speaks pgoutput's protocol version 1"
                    )
        return tuple(values), at

    def _told_shape(self, message: bytes) -> Shape:
        _, at = _text(message, 5)
        _, at = _text(message, at)
        # Its replica identity was checked before the read began.
        (number,) = _INT2.unpack_from(message, at + 1)
        at += 3
        columns = []
        for _ in range(number):
            name, at = _text(message, at + 1)
            type_number, _ = _COLUMN.unpack_from(message, at)
            of = self._types.get(type_number, "text")
            columns.append(Found(name, of, of))
            at += _COLUMN.size
        return Shape(tuple(columns))


def _text(message: bytes, at: int) -> tuple[str, int]:
    """A text that ends with a zero byte, and where the next thing begins."""
    ends = message.index(b"\0", at)
    return message[at:ends].decode(), ends + 1
