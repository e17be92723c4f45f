"""The Kafka connector: a topic's messages from the table's position up to the ends that it had when we asked.

Partitions are assigned and never subscribed to, so no group's membership decides who reads what; a table's commit
alone says how far it has come. The group is told after each commit, for people who watch lag with Kafka's own tools.

A partition that is new is read from its beginning. A topic that was deleted and made again has another id (or ends
before where we stand): it is read from its beginning in a new era. Offsets that retention removed before they were
read are a gap; the position keeps gaps until somebody takes them out of it, so no run's end hides one.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.base import Batch, Landed, Offer, Part, Rejected
from data_platform.connectors.kafka.cluster import Cluster, Topic
from data_platform.connectors.kafka.keys import text_of
from data_platform.connectors.kafka.position import Gap, Reached, orders
from data_platform.connectors.kafka.reading import Headers, Page, Reading
from data_platform.connectors.kafka.registry import Registry
from data_platform.connectors.kafka.values import Values, origins
from data_platform.connectors.records import ENCODER, Rows, bronze_rows
from data_platform.connectors.shape import SeenShape
from data_platform.declarations import SourceTable
from data_platform.lake.schema import TIMESTAMP_TYPE
from data_platform.settings import Settings

log = logging.getLogger(__name__)

# Pages that wait while others are being decoded and written.
AHEAD = 2


class Kafka:
    """Reads topics (`connectors.base.Connector`). Its connections stay open as long as it is kept."""

    def __init__(self, settings: Settings) -> None:
        self._cluster = Cluster(settings)
        self._registry = Registry(settings)
        self._consumers: dict[str, Consumer] = {}

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        (topic,) = self._cluster.topics([table.reads]).values()
        ends = _of_partitions(self._cluster.ends([topic]))
        begins = _of_partitions(self._cluster.beginnings([topic]))
        before = Reached.of(landed.position) if landed.position else None
        notes: list[str] = []
        start = _start(topic, before, begins, ends, notes)
        ends = {part: max(end, start.offsets[part]) for part, end in ends.items()}
        offered = sum(ends[part] - start.offsets[part] for part in topic.partitions)
        shape = SeenShape(table.columns)
        # Filled in as it is read: whoever has the offer has this.
        position = start.position
        offer = Offer(
            iter(()),
            position,
            shape.drift,
            # What was noticed is kept even where there is nothing to read.
            renew=before is not None and replace(start, offsets=before.offsets) != before,
            notes=notes,
            gaps=[gap.says for gap in start.gaps],
            committed=lambda position: self._cluster.report(topic.name, Reached.of(position).offsets),
        )
        if offered:
            reading = Reading(self._cluster, self._consumer(topic.name), topic.name, start, ends)
            rows = _Messages(table, Values(table, self._registry), start)
            offer.parts = self._parts(position, reading, rows, offered, shape)
        return offer

    def _parts(
        self,
        position: dict[str, Any],
        reading: Reading,
        messages: "_Messages",
        offered: int,
        shape: SeenShape,
    ) -> Iterator[Part]:
        def batches() -> Iterator[Batch]:
            for batch, rows in worked_ahead(messages.batch, read_ahead(reading.pages(), AHEAD)):
                shape.heed(rows)
                yield batch

        # Where rows landed before (the position was taken back), offsets tell them apart, all the way back.
        yield Part(batches(), offered, ("_origin",), since=0, may_repeat=False)
        position.update(reading.reached.position)

    def _consumer(self, topic: str) -> Consumer:
        if topic not in self._consumers:
            self._consumers[topic] = self._cluster.consumer(topic)
        return self._consumers[topic]


class _Messages:
    """Pages of messages as batches of rows."""

    def __init__(self, table: SourceTable, values: Values, start: Reached) -> None:
        self._table = table
        self._values = values
        self._era = start.era

    def batch(self, page: Page) -> tuple[Batch, Rows]:
        decoded = self._values.read(page.keys, page.values)
        at = decoded.places
        rows = decoded.rows
        beside = self._said_beside(page, at)
        origin = origins(self._table.reads, self._era, page.partitions, page.offsets)
        landed = bronze_rows(
            self._table,
            Rows({**rows.columns, **beside}, rows.rescued),
            op=pa.array(np.where(decoded.is_deletion, "delete", "upsert").tolist(), pa.string()),
            origin=origin.take(pa.array(at)),
            order=orders(self._era, page.times[at], page.offsets[at], page.partitions[at]),
        )
        rejected = [
            Rejected(
                origin[place].as_py(),
                why,
                page.values[place] or page.keys[place] or b"",
            )
            for place, why in sorted(decoded.refused.items())
        ]
        return Batch(landed, page.reached.position, rejected, page.empty), decoded.rows

    def _said_beside(self, page: Page, at: np.ndarray) -> dict[str, pa.Array]:
        sent = pa.array(page.sent[at] * 1000, mask=page.sent[at] < 0).cast(TIMESTAMP_TYPE)
        keys, headers = self._values.keys.texts(page.keys), pa.array(map(_headers, page.headers), pa.string())
        taken = pa.array(at)
        return {
            "_sent_at": sent,
            "_message_key": keys.take(taken),
            "_headers": headers.take(taken),
        }


def _headers(headers: Headers) -> str | None:
    """As one JSON object; a name that is there several times has a list."""
    if not headers:
        return None
    said: dict[str, list[str | None]] = {}
    for name, value in headers:
        said.setdefault(name, []).append(None if value is None else text_of(value))
    return ENCODER.encode({name: v[0] if len(v) == 1 else v for name, v in said.items()}).decode()


def _of_partitions(offsets: Mapping[tuple[str, int], int]) -> dict[int, int]:
    return {part: offset for (_, part), offset in offsets.items()}


def _start(
    topic: Topic,
    before: Reached | None,
    begins: Mapping[int, int],
    ends: Mapping[int, int],
    notes: list[str],
) -> Reached:
    """From where each partition is read, and what has happened to the topic since the position was written."""
    if before is None:
        return Reached(topic.id, 1, begins)
    if anew := _made_anew(topic, before, ends):
        notes.append(f"{topic.name} {anew}; it is read from its beginning")
        return replace(before, topic_id=topic.id, era=before.era + 1, offsets=begins, times={})
    if added := sorted(set(begins) - set(before.offsets)):
        listed = ", ".join(map(str, added))
        notes.append(f"{topic.name} has new partitions ({listed}), which are read from their beginning")
    gaps = [
        Gap(part, offset, begins[part]) for part, offset in before.offsets.items() if offset < begins[part]
    ]
    notes += [f"{topic.name}, {gap.says}" for gap in gaps]
    offsets: dict[int, Any] = {part: max(before.offsets.get(part, 0), begins[part]) for part in begins}
    return replace(before, offsets=offsets, gaps=(*before.gaps, *gaps))


def _made_anew(topic: Topic, before: Reached, ends: Mapping[int, int]) -> str | None:
    if topic.id != before.topic_id:
        return "was deleted and made again"
    if any(offset > ends.get(part, 0) for part, offset in before.offsets.items()):
        return "ends before what was read of it (its brokers lost messages)"
    return None
