"""A producer that sends events at a steady pace, each stamped with the moment that it is handed to the client.

    python -m benchmarks.produce_paced --topic events --seconds 20 --messages-a-second 5000

It says on its last line how many messages the broker has, and in how many seconds.
"""

import argparse
import json
import os
import time
from pathlib import Path

from confluent_kafka import Producer

TURNS_A_SECOND = 50
EVENT = (
    '{{"event_id":"e-{0:010d}","user_id":"u-{1:08d}","event_type":"page_view","page":"/products/{0:060d}",'
    '"session_id":"{0:032x}","amount":{1}.25,"quantity":{1},"score":0.{1},"is_bot":false,'
    '"occurred_at":"2026-01-01T00:00:00.123Z"}}'
)


def produce(topic: str, seconds: float, messages_a_second: int) -> dict[str, float]:
    producer = Producer(json.loads(Path(os.environ["CLIENT"]).read_text()) | {"linger.ms": 5, "acks": "1"})
    each_turn = messages_a_second // TURNS_A_SECOND
    refused: list[str] = []
    sent, begun = 0, time.monotonic()
    for number in range(round(seconds * TURNS_A_SECOND)):
        # One that is late is not waited for, so that the pace is kept over all.
        time.sleep(max(0.0, begun + number / TURNS_A_SECOND - time.monotonic()))
        for _ in range(each_turn):
            producer.produce(
                topic,
                EVENT.format(sent, sent % 10_000),
                key=f"e-{sent:010d}",
                on_delivery=lambda error, _: error and refused.append(error.name()),
            )
            sent += 1
        producer.poll(0)
    producer.flush()
    return {"messages": sent - len(refused), "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--topic")
    asked.add_argument("--seconds", type=float)
    asked.add_argument("--messages-a-second", type=int)
    told = asked.parse_args()
    print(json.dumps(produce(told.topic, told.seconds, told.messages_a_second)))
