"""What a load is told (JSON on its standard input) and what it says (JSON on its last line).

Used in both environments, so it needs the standard library alone.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """Read `table` into Delta below `folder`; the source is in the environment, as the platform has it.

    For the peers of Salesforce: `soql` at `instance_url`; of what is read by days: which days. For a table that is
    followed: for so many `seconds`.
    """

    table: str = ""
    folder: str = ""
    soql: str = ""
    instance_url: str = ""
    token: str = ""
    ca_file: str = ""
    first_day: str = ""
    last_day: str = ""
    seconds: float = 0
    changes_a_second: int = 0

    @property
    def path(self) -> str:
        return "/services/data/v58.0/queryAll"


def run(load: Callable[[Job], dict[str, Any] | None], prepare: Callable[[Job], None] | None = None) -> None:
    """Do the load that the caller asks for, and say how long it alone took and what memory it needed.

    What `prepare` does is timed apart.
    """
    job = Job(**json.load(sys.stdin))
    begun = time.perf_counter()
    if prepare:
        prepare(job)
    prepared, cpu_before = time.perf_counter(), cpu_seconds()
    details = load(job) or {}
    took = {"seconds": time.perf_counter() - prepared, "cpu_seconds": cpu_seconds() - cpu_before}
    details["preparing_seconds"] = prepared - begun
    print(json.dumps(took | {"peak_mb": peak_mb(), "details": details}))


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def peak_mb() -> float:
    """The most memory that this program held. Linux counts it anew when a program starts; `getrusage` would
    show the caller's where that was more."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError("/proc/self/status names no VmHWM; the benchmarks need Linux")
