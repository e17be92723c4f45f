"""How far a topic was read: an offset per partition, and what happened to the topic since the first load.

`era` counts how often the topic was made anew: its offsets begin again then, so `_order` counts eras first. Within
an era it goes by the time that messages were sent, made to only grow within a partition, so that a key whose messages
moved to another partition (partitions were added) keeps its newest version; then by offset. Within one partition that
is the order of offsets alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_platform.connectors.base import Position

# `_order` is era, milliseconds, offset, partition; each has room for all it can be.
_TIME: Final = 10**14
_OFFSET: Final = 10**13
_PARTITION: Final = 10**5
_LOW: Final = _OFFSET * _PARTITION
_ORDER: Final = pa.decimal128(38, 0)


@dataclass(frozen=True)
class Gap:
    """Offsets that were removed before they were read: from `first`, up to where the partition begins now."""

    partition: int
    first: int
    next: int

    @property
    def missing(self) -> int:
        return self.next - self.first

    @property
    def says(self) -> str:
        return (
            f"partition {self.partition}: {self.missing:,} offsets ({self.first} to {self.next - 1}) were removed by "
            "the topic's retention before they were read"
        )


@dataclass(frozen=True)
class Reached:
    """Each partition is read up to its offset; `times` are the latest of the messages before that, in milliseconds."""

    topic_id: str
    era: int
    offsets: Mapping[int, int] = field(default_factory=dict)
    times: Mapping[int, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    @classmethod
    def of(cls, position: Position) -> "Reached":
        return cls(
            position["topic_id"],
            position.get("era", 1),
            {int(part): offset for part, offset in position["offsets"].items()},
            {int(part): moment for part, moment in position.get("times", {}).items()},
            tuple(
                Gap(int(part), first, following)
                for part, gaps in position.get("gaps", {}).items()
                for first, following in gaps
            ),
        )

    @property
    def position(self) -> dict[str, Any]:
        gaps: dict[str, list[list[int]]] = {}
        for gap in self.gaps:
            gaps.setdefault(str(gap.partition), []).append([gap.first, gap.next])
        return {
            "topic_id": self.topic_id,
            "era": self.era,
            "offsets": {str(part): offset for part, offset in sorted(self.offsets.items())},
            "times": {str(part): moment for part, moment in sorted(self.times.items())},
            "gaps": gaps,
        }

    def at(self, offsets: Mapping[int, int], times: Mapping[int, int]) -> "Reached":
        return replace(self, offsets=dict(offsets), times=dict(times))


def orders(era: int, times: np.ndarray, offsets: np.ndarray, partitions: np.ndarray) -> pa.Array:
    """`_order` of each message. A product beyond 64 bits is made of halves, since Arrow has no room to add to it."""
    high = (era * _TIME + times).astype(np.uint64)
    low = (offsets * _PARTITION + partitions).astype(np.uint64)
    half = np.uint64(32)
    mask = np.uint64(0xFFFFFFFF)
    factor_high, factor_low = np.uint64(_LOW >> 32), np.uint64(_LOW & 0xFFFFFFFF)
    lowest = (high & mask) * factor_low
    middle = (high >> half) * factor_low + (lowest >> half)
    carried = (high & mask) * factor_high + (middle & mask)
    upper = (high >> half) * factor_high + (middle >> half) + (carried >> half)
    lower = (carried << half) | (lowest & mask)
    summed = lower + low
    upper += summed < lower
    words = np.empty((len(summed), 2), np.uint64)
    words[:, 0], words[:, 1] = summed, upper
    return pa.Array.from_buffers(_ORDER, len(summed), [None, pa.py_buffer(words)])
