"""What a topic's group is told of how far its table has come: for people who watch lag with Kafka's own tools.

It decides nothing, so where it fails, or no answer comes soon, that is only said.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)

# No load waits longer for an answer. A look for it takes its whole time, also where the answer comes meanwhile.
TOLD_WITHIN: Final = 1.0
LOOKS_FOR: Final = 0.002


class Progress:
    """One topic's. By a consumer that reads nothing: the client's admin interface, when it gives up on a broker that is
    gone, may end the whole process by an assertion of its own."""

    def __init__(self, client: Mapping[str, Any], topic: str, group: str) -> None:
        self._topic = topic
        self._waits = False
        told = {"group.id": group, "enable.auto.commit": False, "on_commit": self._heard}
        self._consumer = Consumer({**client, **told}, logger=log)

    def tell(self, offsets: Mapping[int, int]) -> None:
        self._waits = True
        try:
            self._consumer.commit(
                offsets=[TopicPartition(self._topic, part, offset) for part, offset in offsets.items()],
                asynchronous=True,
            )
            gives_up = time.monotonic() + TOLD_WITHIN
            while self._waits and time.monotonic() < gives_up:
                self._consumer.poll(LOOKS_FOR)
        except KafkaException as error:
            self._heard(error.args[0], [])
            return
        if self._waits:
            log.info("the group of %s has not answered in %.0f s to its progress", self._topic, TOLD_WITHIN)

    def _heard(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        self._waits = False
        if error is not None:
            log.info("the progress of %s could not be reported to its group: %s", self._topic, error.str())
