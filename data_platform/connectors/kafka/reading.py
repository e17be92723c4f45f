"""A bounded read of one topic: from an offset of each partition up to its end, in pages that say how far they reach."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from data_platform.connectors.base import ReadAgain, SourceError
from data_platform.connectors.kafka.cluster import PASSING, Cluster
from data_platform.connectors.kafka.position import Reached

# A page ends with so many messages, about so many bytes, or when so long no more came.
PAGE_MESSAGES = 10_000
PAGE_BYTES = 8 * 1024 * 1024
PAGE_SECONDS = 0.1
# What is thought of a message's size before the first is seen.
USUAL_BYTES = 1024

# The topic, or the place in it, is not what it was when the ends were fixed.
_GONE: Final = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
    }
)

# The client's own words for it.
Headers = Any


@dataclass(frozen=True)
class Page:
    """Some messages, one list per thing that they say, and how far the topic is read after them.

    `sent` is in milliseconds as the messages say it (negative: not at all), `times` as it counts for their order.
    `empty` offsets before or among them hold no message.
    """

    partitions: np.ndarray
    offsets: np.ndarray
    sent: np.ndarray
    times: np.ndarray
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers]
    reached: Reached
    empty: int


class Reading:
    """One read of one topic."""

    def __init__(
        self, cluster: Cluster, consumer: Consumer, topic: str, start: Reached, ends: Mapping[int, int]
    ) -> None:
        self.cluster = cluster
        self.consumer = consumer
        self.topic = topic
        self.start = start
        self.ends = ends
        self.offsets = dict(start.offsets)
        self.times = dict(start.times)
        self.open = {part for part, offset in self.offsets.items() if offset < ends[part]}
        self.empty = 0
        self._end_of = np.zeros(max(ends, default=0) + 1, np.int64)
        self._end_of[list(ends)] = list(ends.values())
        self._bytes_each = float(USUAL_BYTES)

    @property
    def reached(self) -> Reached:
        return self.start.at(self.offsets, self.times)

    def pages(self) -> Iterator[Page]:
        self.consumer.assign([TopicPartition(self.topic, part, self.offsets[part]) for part in self.open])
        try:
            heard = time.monotonic()
            while self.open:
                got = self.consumer.consume(self._wanted(), timeout=PAGE_SECONDS)
                messages = [message for message in got if message.error() is None]
                page = self._page(messages) if messages else None
                for message in got:
                    if (error := message.error()) is not None:
                        self._meet(error, message)
                if page:
                    yield page
                if got:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.cluster.patience:
                    raise self.cluster.gave_up(time.monotonic() - heard)
                else:
                    self.cluster.refuse_lasting()
            if self.empty:
                # The last offsets held no message.
                yield self._page([])
        finally:
            self.consumer.unassign()

    def _wanted(self) -> int:
        remaining = sum(self.ends[part] - self.offsets[part] for part in self.open)
        return max(1, min(PAGE_MESSAGES, int(PAGE_BYTES / self._bytes_each), remaining))

    def _page(self, messages: Sequence[Message]) -> Page:
        partitions = np.array([message.partition() for message in messages], np.int64)
        offsets = np.array([message.offset() for message in messages], np.int64)
        beyond = offsets >= self._end_of[partitions]
        if beyond.any():
            passed = set(partitions[beyond].tolist())
            messages = [message for message, is_beyond in zip(messages, beyond, strict=True) if not is_beyond]
            partitions, offsets = partitions[~beyond], offsets[~beyond]
        else:
            passed = set()
        sent = np.array([message.timestamp()[1] for message in messages], np.int64)
        times = np.empty(len(sent), np.int64)
        for part in np.unique(partitions).tolist():
            of_part = partitions == part
            times[of_part] = self._follow(part, offsets[of_part], sent[of_part])
        values = [message.value() for message in messages]
        if messages:
            size = sum(len(value) for value in values if value is not None)
            self._bytes_each = max(1.0, size / len(messages))
        for part in sorted(self.open & (passed | {p for p in self.open if self.offsets[p] >= self.ends[p]})):
            self._finish(part)
        empty, self.empty = self.empty, 0
        return Page(
            partitions,
            offsets,
            sent,
            times,
            [message.key() for message in messages],
            values,
            [message.headers() for message in messages],
            self.reached,
            empty,
        )

    def _follow(self, part: int, offsets: np.ndarray, sent: np.ndarray) -> np.ndarray:
        """Go on to behind these messages of a partition; returns their times, which never go back."""
        following = int(offsets[-1]) + 1
        self.empty += following - self.offsets[part] - len(offsets)
        self.offsets[part] = following
        # A producer's clock may be ahead by years, and would hold all later messages there.
        now = int(time.time() * 1000)
        times: np.ndarray = np.maximum.accumulate(np.clip(sent, self.times.get(part, 0), now))
        self.times[part] = int(times[-1])
        return times

    def _finish(self, part: int) -> None:
        self.empty += self.ends[part] - self.offsets[part]
        self.offsets[part] = self.ends[part]
        self.open.discard(part)
        if self.open:
            self.consumer.incremental_unassign([TopicPartition(self.topic, part)])

    def _meet(self, error: KafkaError, message: Any) -> None:
        part = message.partition()
        if error.code() == KafkaError._PARTITION_EOF:
            if part in self.open and message.offset() < self.ends[part]:
                raise ReadAgain(
                    f"partition {part} of {self.topic} ends at {message.offset()}, and did at {self.ends[part]} before"
                )
            if part in self.open:
                self._finish(part)
        elif error.code() in _GONE:
            raise ReadAgain(f"{self.topic} is not as it was when its ends were asked ({error.name()})")
        elif error.code() not in PASSING:
            self.cluster.refuse_lasting(error, self.topic)
            raise SourceError(
                f"Kafka at {self.cluster.name} broke off the read of {self.topic}: {error.str()}. See whether it is "
                "well, then run again; the position stands"
            )
