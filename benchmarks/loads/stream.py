"""`data-platform stream` of the table that the benchmark declares, which no catalogue has."""

import logging

import dagster as dg

from benchmarks.kafka_continuous import TABLE
from data_platform.settings import Settings
from data_platform.streaming.process import stream

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    with dg.DagsterInstance.get() as instance:
        stream([TABLE], Settings(), instance)
