"""`data-platform stream`: the same loads in a process of their own, ended by signals, killed, and told to Dagster."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from data_platform.described import bronze_key
from data_platform.settings import CHECKOUT, Settings
from data_platform.sources.catalogue import table_named
from data_platform.streaming.process import stream
from tests.integration.kafka.conftest import Topic, event

WAITS = 90.0

# The command follows tables of the catalogue; these tests have tables of their own.
FOLLOWS = """
import pickle, sys, logging
import dagster as dg
from data_platform.settings import Settings
from data_platform.streaming.process import stream

logging.basicConfig(level=logging.INFO)
if __name__ == "__main__":
    table = pickle.loads(bytes.fromhex(sys.argv[1]))
    with dg.DagsterInstance.get() as instance:
        stream([table], Settings(), instance)
"""


class Process:
    """The continuous process of one topic's table."""

    def __init__(self, topic: Topic, home: Path, **settings: str) -> None:
        self.topic = topic
        self.home = home
        home.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / "dagster.yaml", home)
        self.log = home / "stream.log"
        self.settings = os.environ | topic.server.settings() | {
            "LAKE_URI": topic.lake.uri, "DAGSTER_HOME": str(home), "STREAM_COMMIT_EVERY": "00:00:00.2",
            "STREAM_REPORT_EVERY": "00:00:00.5", "COMMIT_ROWS": "20", **settings,
        }  # fmt: skip

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        told = pickle.dumps(self.topic.table).hex()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", FOLLOWS, told], cwd=CHECKOUT, env=self.settings, stderr=log
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def until(self, is_so, process: subprocess.Popen[bytes]) -> None:
        ends = time.monotonic() + WAITS
        while not is_so():
            assert process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < ends, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def landed(self) -> int:
        bronze = self.topic.lake.bronze(self.topic.table)
        return bronze.rows if bronze.exists else 0


def test_it_lands_what_comes_and_ends_cleanly_when_it_is_asked_to(topic: Topic, tmp_path: Path) -> None:
    process = Process(topic, tmp_path / "home")
    topic.send([event(number) for number in range(10)])
    with process.running() as running:
        process.until(lambda: process.landed() == 10, running)
        for number in range(10, 40):
            topic.send([event(number)], partition=number % 3)
        process.until(lambda: process.landed() == 40, running)
        running.send_signal(signal.SIGTERM)
        assert running.wait(WAITS) == 0
    assert topic.landed() == sorted(f"e{number}" for number in range(40))
    assert "stopped; what was read is committed" in process.log.read_text()
    with dg.DagsterInstance.from_config(str(process.home)) as instance:
        event_of = instance.get_latest_materialization_event(bronze_key(topic.table))
        metadata = event_of.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == 40
        reported = sum(
            record.asset_materialization.metadata["landed"].value
            for record in instance.fetch_materializations(bronze_key(topic.table), limit=1000).records
        )
        assert reported == 40
    # The asset goes on where the process stopped.
    assert topic.load().receipt.offered == 0


def test_killed_without_a_word_it_goes_on_and_nothing_is_lost_or_doubled(
    topic: Topic, tmp_path: Path
) -> None:
    process = Process(topic, tmp_path / "home")
    sent = 0
    for _ in range(2):
        with process.running() as running:
            for _ in range(5):
                topic.send([event(sent + number) for number in range(50)] + [b"poison"], partition=sent % 3)
                sent += 50
            held = process.landed()
            process.until(lambda before=held: process.landed() > before, running)
    topic.load()
    assert topic.landed() == sorted(f"e{number}" for number in range(sent))
    assert len(topic.quarantined()) == sent // 50


def test_it_waits_for_a_broker_that_is_gone_and_goes_on(topic: Topic, tmp_path: Path) -> None:
    process = Process(topic, tmp_path / "home")
    topic.send([event(1)])
    with process.running() as running:
        process.until(lambda: process.landed() == 1, running)
        topic.server.stop()
        try:
            process.until(lambda: "gave no answer" in process.log.read_text(), running)
        finally:
            topic.server.start()
        topic.send([event(2)])
        process.until(lambda: process.landed() == 2, running)
        running.send_signal(signal.SIGINT)
        assert running.wait(WAITS) == 0
    assert topic.landed() == ["e1", "e2"]
    assert topic.server.password not in process.log.read_text()


def test_a_refused_login_ends_it(topic: Topic, tmp_path: Path) -> None:
    process = Process(topic, tmp_path / "home", KAFKA_PASSWORD="a wrong one")
    with process.running() as running:
        assert running.wait(WAITS) != 0
    assert "KAFKA_USERNAME and KAFKA_PASSWORD" in process.log.read_text()
    assert "a wrong one" not in process.log.read_text()


def test_a_table_that_is_no_stream_is_refused() -> None:
    with pytest.raises(LookupError, match=r"mysql\.subscriptions is no stream"):
        stream([table_named("mysql.subscriptions")], Settings(_env_file=None), dg.DagsterInstance.ephemeral())
