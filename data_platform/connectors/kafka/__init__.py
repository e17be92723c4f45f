"""Kafka: topics, read from the offsets that a table's commit holds up to ends that are fixed before reading."""
