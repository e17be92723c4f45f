"""The limit: reading every message of the topic, with the settings that the platform gives its client, and looking at
none."""

from confluent_kafka import TopicPartition

from benchmarks.loads.job import Job, run
from benchmarks.tables import table_named
from data_platform.connectors.kafka.cluster import Cluster
from data_platform.connectors.kafka.reading import PAGE_MESSAGES
from data_platform.settings import Settings


def load(job: Job) -> dict[str, int]:
    topic = table_named(job.table).reads
    cluster = Cluster(Settings())
    consumer = cluster.consumer(topic)
    ends = cluster.ends(cluster.topics([topic]).values())
    consumer.assign([TopicPartition(topic, part, 0) for _, part in ends])
    left, read = sum(ends.values()), 0
    while left:
        values = [message.value() for message in consumer.consume(PAGE_MESSAGES, 1) if not message.error()]
        left, read = left - len(values), read + sum(map(len, values))
    return {"bytes": read}


if __name__ == "__main__":
    run(load)
