"""The continuous process while 5,000 messages a second are sent for ten minutes: how soon each can be read in Delta.

A message's clock begins when its producer is handed it, and ends when the commit that has it is in the log. No peer
runs here for as long; the micro-batches of Spark are measured by `kafka-json`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.result import Result
from benchmarks.tables import events
from benchmarks.turns import CHECKOUT, OWN_SETTINGS, empty_folder
from data_platform.declarations import (
    BOOLEAN,
    DECIMAL,
    DOUBLE,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
)
from sandbox.kafka.server import KafkaServer

SECONDS = 600
WARM_UP_SECONDS = 10
MESSAGES_A_SECOND = 5_000
PARTITIONS = 8
# Between two looks at the process's memory and the table's files.
LOOKS_EVERY = 2.0
LANDS_WITHIN = 60.0

TABLE = events(
    "paced_events",
    (
        Column("event_id", STRING, required=True),
        Column("user_id", STRING),
        Column("event_type", STRING),
        Column("page", STRING),
        Column("session_id", STRING),
        Column("amount", DECIMAL(18, 2)),
        Column("quantity", INTEGER),
        Column("score", DOUBLE),
        Column("is_bot", BOOLEAN),
        Column("occurred_at", TIMESTAMP),
    ),
)


def measure(seconds: float = SECONDS) -> Result:
    with KafkaServer(compiled_well=True) as server, empty_folder() as folder:
        server.create_topic(TABLE.reads, PARTITIONS)
        with following(server, folder) as process:
            # What a process does once, it has done before the clock begins.
            _, before = watched(server, folder, process, WARM_UP_SECONDS)
            begun = time.time()
            looks, written = watched(server, folder, process, seconds, int(before["messages"]))
        ended = process.returncode
        delays, batches = delays_of(lands_in(folder), begun)
    if len(delays) != written["messages"] or ended != 0:
        raise AssertionError(f"{written} were sent, {len(delays)} landed, and the process ended with {ended}")
    return Result(
        name="kafka-continuous",
        unit="s (p50, produced to readable)",
        ours=float(np.percentile(delays, 50)),
        peak_mb=max(look["mb"] for look in looks),
        rows=len(delays),
        details={
            "p50_s": float(np.percentile(delays, 50)),
            "p99_s": float(np.percentile(delays, 99)),
            "max_s": float(delays.max()),
            "messages_a_second": written["messages"] / written["seconds"],
            "seconds": written["seconds"],
            "by_minute": by_minute(delays, batches, written["seconds"]),
            "commits": int(batches.max() - batches.min()) + 1,
            "most_live_files": max(look["files"] for look in looks),
            "mb_by_minute": mb_by_minute(looks),
        },
    )


def lands_in(folder: Path) -> Path:
    return folder / "lake" / "bronze" / TABLE.system / TABLE.name


@contextmanager
def following(server: KafkaServer, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The continuous process, ended by a signal as an operator would."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(CHECKOUT / "dagster.yaml", home)
    settings |= server.settings()
    settings |= {
        "DATA_PLATFORM_HOME": str(folder),
        "LAKE_URI": str(folder / "lake"),
        "DAGSTER_HOME": str(home),
    }
    with (folder / "stream.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loads.stream"], cwd=CHECKOUT, env=settings, stderr=log
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(LANDS_WITHIN)
        finally:
            process.kill()
            process.wait()


def watched(
    server: KafkaServer, folder: Path, process: subprocess.Popen[bytes], seconds: float, before: int = 0
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What is seen from outside while messages are sent, until all of them have landed."""
    until(lambda: (lands_in(folder) / "_delta_log").exists(), "the process made no table", process)
    client = folder / "client.json"
    client.write_text(json.dumps(server.client()))
    asked = ["--topic", TABLE.reads, "--seconds", str(seconds), "--messages-a-second", str(MESSAGES_A_SECOND)]
    looks = []
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.produce_paced", *asked],
        cwd=CHECKOUT, env=os.environ | {"CLIENT": str(client)}, stdout=subprocess.PIPE, text=True,
    ) as producer:  # fmt: skip
        while producer.poll() is None:
            looks.append(look(folder, process))
            time.sleep(LOOKS_EVERY)
        assert producer.stdout is not None
        written: dict[str, float] = json.load(producer.stdout)
    until(lambda: opened(folder).count() >= before + written["messages"], "not all messages landed", process)
    return looks, written


def until(is_so: Any, otherwise: str, process: subprocess.Popen[bytes]) -> None:
    waits_until = time.monotonic() + LANDS_WITHIN
    while not is_so():
        if time.monotonic() > waits_until or process.poll() is not None:
            raise AssertionError(f"{otherwise} within {LANDS_WITHIN:.0f} s")
        time.sleep(0.1)


def look(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, float]:
    status = Path(f"/proc/{process.pid}/status").read_text()
    held = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return {"mb": int(held.split()[1]) / 1024, "files": len(opened(folder).file_uris()), "at": time.time()}


def opened(folder: Path) -> DeltaTable:
    return DeltaTable(str(lands_in(folder)))


def delays_of(table: Path, begun: float) -> tuple[np.ndarray, np.ndarray]:
    """The seconds from each message that was sent since to the commit that has it, and that commit's batch."""
    readable = landed_at(table)
    question = "select _batch, _sent_at, _origin from held"
    held = pa.table(QueryBuilder().register("held", DeltaTable(str(table))).execute(question).read_all())
    if len(set(held.column("_origin").to_pylist())) != held.num_rows:
        raise AssertionError(f"{table} holds messages twice")
    batches = held.column("_batch").to_numpy()
    sent = held.column("_sent_at").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    moments = np.array([readable.get(batch, 0.0) for batch in range(int(batches.max()) + 1)])
    delays, counts = moments[batches] - sent / 1_000_000, sent >= begun * 1_000_000
    return delays[counts], batches[counts]


def landed_at(table: Path) -> Mapping[int, float]:
    """When the commit of each batch came into the log."""
    found: dict[int, float] = {}
    for commit in (table / "_delta_log").glob("*.json"):
        for line in commit.read_text().splitlines():
            if line.startswith('{"txn"'):
                found[json.loads(line)["txn"]["version"]] = commit.stat().st_mtime
    return found


def by_minute(delays: np.ndarray, batches: np.ndarray, seconds: float) -> list[dict[str, float]]:
    """Of equal shares of the batches, one for each minute."""
    minutes = max(1, round(seconds / 60))
    edges = np.linspace(batches.min() - 1, batches.max(), minutes + 1)
    shares = [delays[(batches > low) & (batches <= high)] for low, high in pairwise(edges)]
    return [
        {"p50_s": float(np.percentile(share, 50)), "p99_s": float(np.percentile(share, 99))}
        for share in shares
        if len(share)
    ]


def mb_by_minute(looks: list[dict[str, float]]) -> list[float]:
    begun = looks[0]["at"]
    minutes: dict[int, float] = {}
    for each in looks:
        minute = int((each["at"] - begun) // 60)
        minutes[minute] = max(minutes.get(minute, 0.0), each["mb"])
    return [minutes[minute] for minute in sorted(minutes)]
