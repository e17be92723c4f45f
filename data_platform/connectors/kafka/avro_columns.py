"""Many Avro values of one plain record, decoded field by field for all of them at once.

Each value has a place where it is read on, and every step moves all places together: what costs a step of Python per
value elsewhere costs one of NumPy per field here. Values that do not follow the schema are marked and left behind;
`avro.py` reads them one by one, and says what is wrong with each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

# So many bytes behind the last value may be looked at in vain.
_ROOM: Final = 32
_LONGEST_NUMBER: Final = 10
_SHORT: Final = 12
_DECIMAL: Final = 16


@dataclass(frozen=True)
class PlainField:
    """A field of plain values: how Avro writes it, the Arrow type that it becomes, and which branch of its union holds
    values (None: it is no union)."""

    name: str
    kind: str
    type: pa.DataType
    branch: int | None = None
    symbols: tuple[str, ...] = ()
    size: int = 0


class Places:
    """Where each of some values is read on."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        lengths = np.fromiter(map(len, bodies), np.int64, len(bodies))
        self.buffer = b"".join((*bodies, bytes(_ROOM)))
        self.data = np.frombuffer(self.buffer, np.uint8)
        self.ends = np.cumsum(lengths)
        self.at = self.ends - lengths
        self.bad = np.zeros(len(bodies), np.bool_)

    def numbers(self, of: np.ndarray) -> np.ndarray:
        """Avro's whole numbers, of as many bytes as each takes."""
        at = self.at[of]
        found = np.zeros(len(of), np.uint64)
        going_on = np.arange(len(of))
        for place in range(_LONGEST_NUMBER):
            read = self.data[at[going_on]]
            found[going_on] |= (read & 0x7F).astype(np.uint64) << np.uint64(7 * place)
            at[going_on] += 1
            going_on = going_on[read >= 0x80]
            if not len(going_on):
                break
            # One that has run out of its value must not run out of all.
            at[going_on] = np.minimum(at[going_on], len(self.data) - _ROOM)
        self.bad[of[going_on]] = True
        self._move(of, at)
        signs = -(found & np.uint64(1)).astype(np.int64)
        numbers: np.ndarray = (found >> np.uint64(1)).astype(np.int64) ^ signs
        return numbers

    def pieces(self, of: np.ndarray, size: int) -> np.ndarray:
        """So many bytes of each."""
        at = self.at[of]
        found: np.ndarray = self.data[at[:, None] + np.arange(size)]
        self._move(of, at + size)
        return found

    def spans(self, of: np.ndarray, size: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Where bytes begin that say their own length, or have this one, and how many they are."""
        lengths = np.full(len(of), size, np.int64) if size else self.numbers(of)
        begins = self.at[of]
        wrong = (lengths < 0) | (lengths > self.ends[of] - begins)
        self.bad[of[wrong]] = True
        lengths = np.where(wrong, 0, lengths)
        self._move(of, begins + lengths)
        return begins, lengths

    def _move(self, of: np.ndarray, at: np.ndarray) -> None:
        ends = self.ends[of]
        self.bad[of[at > ends]] = True
        self.at[of] = np.minimum(at, ends)


def columns_of(bodies: Sequence[bytes], fields: Sequence[PlainField]) -> tuple[pa.RecordBatch, np.ndarray]:
    """The fields of those values that follow their schema to the last byte, and which do not."""
    places = Places(bodies)
    arrays = [_field(places, field, np.arange(len(bodies))) for field in fields]
    bad = places.bad | (places.at != places.ends)
    names = [field.name for field in fields]
    held = pa.RecordBatch.from_arrays(arrays, names=names).filter(pa.array(~bad))
    for array in held.columns:
        if pa.types.is_decimal(array.type):
            # Its bytes may hold more digits than its schema allows.
            array.validate(full=True)
    return held, bad


def _field(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    if field.branch is None:
        return _READ[field.kind](places, field, of)
    branches = places.numbers(of)
    places.bad[of[(branches != 0) & (branches != 1)]] = True
    held = branches == field.branch
    values = _READ[field.kind](places, field, of[held])
    if held.all():
        return values
    return values.take(pa.array(np.cumsum(held) - 1, mask=~held))


def _integers(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    numbers = places.numbers(of)
    if field.kind == "int":
        too_large = numbers.astype(np.int32) != numbers
        places.bad[of[too_large]] = True
        numbers[too_large] = 0
    if pa.types.is_date(field.type):
        return pa.array(numbers).cast(pa.int32()).cast(field.type)
    return pa.array(numbers).cast(field.type)


def _texts(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    held = _bytes(places, field, of)
    return held.cast(pa.string())


def _bytes(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    """Views into the one buffer, which Arrow then copies in one go; short ones stand in the view itself."""
    begins, lengths = places.spans(of, field.size)
    views = np.zeros((len(of), 16), np.uint8)
    views[:, :4] = lengths.astype("<i4")[:, None].view(np.uint8)
    heads = places.data[begins[:, None] + np.arange(_SHORT)]
    is_short = lengths <= _SHORT
    views[:, 4:] = np.where(is_short[:, None] & (np.arange(_SHORT) >= lengths[:, None]), 0, heads)
    views[~is_short, 8:12] = 0
    views[~is_short, 12:] = begins[~is_short].astype("<i4")[:, None].view(np.uint8)
    buffers = [None, pa.py_buffer(views), pa.py_buffer(places.buffer)]
    return pa.Array.from_buffers(pa.binary_view(), len(of), buffers).cast(pa.binary())


def _decimals(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    """Big-endian numbers of any length into sixteen bytes the other way round; longer ones are left to one by one."""
    begins, lengths = places.spans(of, field.size)
    places.bad[of[(lengths > _DECIMAL) | (lengths == 0)]] = True
    # The last byte first; before the first comes its sign.
    back = np.arange(_DECIMAL)
    at = begins[:, None] + lengths[:, None] - 1 - back
    sign = np.where(places.data[begins] >= 0x80, 0xFF, 0).astype(np.uint8)
    found = np.where(back < lengths[:, None], places.data[np.maximum(at, 0)], sign[:, None])
    return pa.Array.from_buffers(field.type, len(of), [None, pa.py_buffer(np.ascontiguousarray(found))])


def _doubles(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    width = 4 if field.kind == "float" else 8
    return pa.array(places.pieces(of, width).view(f"<f{width}")[:, 0].astype(np.float64))


def _truths(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:  # noqa: ARG001 - as the others
    found = places.pieces(of, 1)[:, 0]
    places.bad[of[found > 1]] = True
    return pa.array(found == 1)


def _symbols(places: Places, field: PlainField, of: np.ndarray) -> pa.Array:
    numbers = places.numbers(of)
    wrong = (numbers < 0) | (numbers >= len(field.symbols))
    places.bad[of[wrong]] = True
    return pa.array(field.symbols, pa.string()).take(pa.array(np.where(wrong, 0, numbers)))


_READ: Final[dict[str, Callable[[Places, PlainField, np.ndarray], Any]]] = {
    "int": _integers,
    "long": _integers,
    "string": _texts,
    "bytes": _bytes,
    "fixed": _bytes,
    "decimal": _decimals,
    "float": _doubles,
    "double": _doubles,
    "boolean": _truths,
    "enum": _symbols,
}
KINDS: Final = frozenset(_READ)
