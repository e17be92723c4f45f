"""The same million events in Avro, by a schema of the registry; Spark is told the schema, and reads one alone."""

from benchmarks.events import measure as measure_events
from benchmarks.result import Result
from benchmarks.tables import AVRO_EVENTS


def measure() -> Result:
    return measure_events("kafka-avro", AVRO_EVENTS)
