"""A table that takes thousands of small commits, as they landed or put together in line, looked at now and then.

What a look sees: its live files, what its log holds, what is read of that to open the table, and how long opening it
and asking it a question take. A look opens the table anew, as another process would.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from benchmarks.loads.job import Job, peak_mb, run
from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small
from data_platform.lake.schema import LANDED_ON, TIMESTAMP_TYPE
from data_platform.lake.tables import Lake, LakeTable, Note

COMMITS = 5_000
ROWS_A_COMMIT = 500
COMMITS_A_LOOK = 500
ASKED = 3
ROUNDS = 5
# What the platform keeps of the log is meant for a commit a second; here there are some thirty.
HURRIED = "interval 30 seconds"

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.int64()),
        ("event_type", pa.string()),
        ("amount", pa.float64()),
        ("page", pa.string()),
        ("_batch", pa.int64()),
        ("_landed_at", TIMESTAMP_TYPE),
        (LANDED_ON, pa.date32()),
    ]
)
QUESTION = (
    "select event_type, count(*) as events, sum(amount) as amount, count(distinct user_id) as users "
    "from held group by event_type order by event_type"
)


def load(job: Job) -> dict[str, Any]:
    """`job.table` says how: compacted, or as_landed by Delta's own settings."""
    lake = Lake(job.folder)
    table = made(lake.at("bronze", "events"), in_line=job.table == "compacted")
    appender = Appender(table)
    looks = []
    most_files, copied, seconds = 0, 0, 0.0
    for number in range(1, COMMITS + 1):
        begun = time.perf_counter()
        appender.write(events(number))
        appender.commit(Note({"reached": number}))
        if job.table == "compacted":
            done = compact_small(appender.table)
            most_files, copied = max(most_files, done.files_after), copied + done.rows
        seconds += time.perf_counter() - begun
        if number % COMMITS_A_LOOK == 0:
            a_commit = seconds / COMMITS_A_LOOK * 1_000
            looks.append({"commits": number, "milliseconds_a_commit": a_commit} | look(table))
            seconds = 0.0
    seen = {"most_files": most_files, "copied": copied / (COMMITS * ROWS_A_COMMIT), "peak_mb": peak_mb()}
    return {"looks": looks, **seen, **against_ideal(table, lake.at("ideal"))}


def made(table: LakeTable, *, in_line: bool) -> LakeTable:
    if not in_line:
        return table.create(SCHEMA, ("event_id", "_batch"))
    held = table.create(SCHEMA, ("event_id", "_batch"), by_day=LANDED_ON)
    assert held.delta is not None
    kept = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")
    held.delta.alter.set_table_properties(dict.fromkeys(kept, HURRIED))
    return table.fresh()


def events(number: int) -> pa.RecordBatch:
    first = number * ROWS_A_COMMIT
    rows = range(first, first + ROWS_A_COMMIT)
    return pa.RecordBatch.from_pydict(
        {
            "event_id": [f"{row * 2_654_435_761 % 2**32:08x}-{row:012x}" for row in rows],
            "user_id": [row * 48_271 % 100_003 for row in rows],
            "event_type": [("view", "click", "order", "return")[row % 4] for row in rows],
            "amount": [row % 10_000 / 4 for row in rows],
            "page": [f"/products/{row * 7_919 % 5_000}/reviews?from={row % 97}" for row in rows],
        }
    )


def look(table: LakeTable) -> dict[str, float]:
    log = [file.stat().st_size for file in Path(table.uri, "_delta_log").iterdir()]
    before = bytes_read()
    files = len(DeltaTable(table.uri).file_uris())
    opened = bytes_read() - before
    return {
        "files": files,
        "log_files": len(log),
        "log_bytes": sum(log),
        "metadata_bytes_to_open": opened,
        **times(table.uri),
    }


def times(uri: str) -> dict[str, float]:
    """Milliseconds: until its files are known, and until a question to all rows is answered, that included."""
    planned, answered = [], []
    for _ in range(ASKED):
        begun = time.perf_counter()
        held = DeltaTable(uri)
        held.file_uris()
        planned.append(time.perf_counter() - begun)
        QueryBuilder().register("held", held).execute(QUESTION).read_all()
        answered.append(time.perf_counter() - begun)
    return {"planning_ms": median(planned) * 1_000, "query_ms": median(answered) * 1_000}


def bytes_read() -> int:
    """By this process, from its files."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/io names no rchar; the benchmarks need Linux")


def against_ideal(table: LakeTable, ideal: LakeTable) -> dict[str, Any]:
    """The question to this table and to the same rows, written alike in one commit of large files, in turns."""
    at_once = Appender(ideal.create(SCHEMA, ("event_id", "_batch"), by_day=LANDED_ON))
    columns = ", ".join(SCHEMA.names[:5])
    held = QueryBuilder().register("held", DeltaTable(table.uri))
    for rows in held.execute(f"select {columns} from held order by _batch"):
        at_once.write(pa.record_batch(rows))
    at_once.commit(Note({}))
    here, there = [], []
    for _ in range(ROUNDS):
        here.append(times(table.uri)["query_ms"])
        there.append(times(ideal.uri)["query_ms"])
    answer = answer_of(table.uri)
    if answer != answer_of(ideal.uri):
        raise AssertionError(f"{table.uri} answers {answer}, and put together {answer_of(ideal.uri)}")
    return {
        "query_ms": median(here),
        "ideal_query_ms": median(there),
        "position": dict(table.fresh().position or {}),
        "answer": answer,
    }


def answer_of(uri: str) -> list[dict[str, Any]]:
    held = QueryBuilder().register("held", DeltaTable(uri)).execute(QUESTION).read_all()
    return [{**row, "amount": round(row["amount"], 2)} for row in pa.table(held).to_pylist()]


if __name__ == "__main__":
    run(load)
