"""1,000,000 messages of 300 bytes of JSON from 8 partitions over SASL_SSL into bronze, against Spark Structured
Streaming (availableNow), whose session is started before the clock; the limit is consuming alone."""

from benchmarks.events import measure as measure_events
from benchmarks.result import Result
from benchmarks.tables import JSON_EVENTS


def measure() -> Result:
    return measure_events("kafka-json", JSON_EVENTS)
