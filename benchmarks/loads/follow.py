"""The platform's loads of one table, one after another in one process, while its database is written to.

It says when each batch had landed, as its caller would know it: when the load that wrote it came back.
"""

import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.loads.job import Job, run
from benchmarks.tables import table_named
from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded
from data_platform.bronze.load import load as load_bronze
from data_platform.lake.places import lake_of
from data_platform.settings import Settings


def prepare(job: Job) -> None:
    """What stood in the table before."""
    load_once(job)


def load(job: Job) -> dict[str, Any]:
    landed_at: list[tuple[int, float]] = []
    asked = ["--seconds", str(job.seconds), "--changes-a-second", str(job.changes_a_second)]
    loads, begun = 0, time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.write_paced", *asked], stdout=subprocess.PIPE, text=True
    ) as writer:
        going_on = True
        while going_on:
            # All that it wrote lands in the load that begins after its end.
            going_on = writer.poll() is None
            loaded = load_once(job)
            loads += 1
            if loaded.receipt.landed:
                landed_at.append((loaded.batch, time.time()))
        seconds_a_load = (time.perf_counter() - begun) / loads
        assert writer.stdout is not None
        written = json.load(writer.stdout)
    return {"landed_at": landed_at, "written": written, "loads": loads, "seconds_a_load": seconds_a_load}


def load_once(job: Job) -> Loaded:
    settings, table = Settings(), table_named(job.table)
    return load_bronze(table, connector_for(table, settings), lake_of(settings), settings.commit_rows)


if __name__ == "__main__":
    run(load, prepare)
