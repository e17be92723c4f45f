"""Loads that take turns: each in a process of its own, the first round thrown away, medians of the others."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.loads.job import Job

CHECKOUT = Path(__file__).resolve().parent.parent
OURS = sys.executable
# A developer's own settings must not lead a load elsewhere.
OWN_SETTINGS = (
    "APPFLOW_",
    "AWS_",
    "CLEVERTAP_",
    "COMMIT_",
    "DAGSTER_",
    "DATABASE_",
    "DATA_PLATFORM_",
    "DYNAMODB_",
    "FACEBOOK_",
    "GLUE_",
    "GOOGLE_",
    "HTTP_",
    "KAFKA_",
    "LAKE_",
    "LANDING_",
    "MYSQL_",
    "POSTGRES_",
    "SALESFORCE_",
    "SCHEMA_",
    "SNOWFLAKE_",
    "SPARK_",
    "STREAM_",
    "TOKEN_",
    "WAREHOUSE",
    "WINDOW_",
)
# What is landed is compared with the truth; what a check has seen of it is told with the run.
Check = Callable[[Path], Mapping[str, Any] | None]
PEERS = str(CHECKOUT / ".venv-bench" / "bin" / "python")


@dataclass(frozen=True)
class Run:
    """What one load took: alone, and from its process's start to its end.

    `cpu_seconds` of the load alone are what a machine that does other things too changes least.
    """

    seconds: float
    process_seconds: float
    cpu_seconds: float
    peak_mb: float
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """One of those compared: `load` is its module in `benchmarks.loads`, `lands_in` where its table is.

    It begins with nothing, or with a copy of the folder `after`, where an earlier load has ended.
    """

    name: str
    load: str
    python: str = OURS
    lands_in: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    after: Path | None = None

    def run(self, job: Job, check: Check | None = None) -> Run:
        """Load into a folder of its own, and check what landed there."""
        with empty_folder() as folder:
            if self.after:
                shutil.copytree(self.after, folder, dirs_exist_ok=True)
            done = start(self, job, folder)
            seen = check(folder / self.lands_in) if check and self.lands_in else None
            return replace(done, details={**done.details, **(seen or {})})


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A new folder in the project's own .data, where a lake would be, not in a /tmp that may be memory."""
    base = CHECKOUT / ".data"
    base.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def start(side: Side, job: Job, folder: Path) -> Run:
    """One load in a process of its own, into a folder that may hold earlier ones."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    environment |= side.settings
    environment |= {"DATA_PLATFORM_HOME": str(folder), "LAKE_URI": str(folder / "lake")}
    told = json.dumps(asdict(job) | {"folder": str(folder)})
    begun = time.perf_counter()
    ended = subprocess.run(
        [side.python, "-m", f"benchmarks.loads.{side.load}"],
        cwd=CHECKOUT, env=environment, input=told, capture_output=True, text=True, check=False,
    )  # fmt: skip
    process_seconds = time.perf_counter() - begun
    if ended.returncode:
        raise RuntimeError(f"the load of {side.name} failed:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    said = json.loads(ended.stdout.splitlines()[-1])
    return Run(said["seconds"], process_seconds, said["cpu_seconds"], said["peak_mb"], said["details"])


def take_turns(
    sides: Sequence[Side], job: Job, rounds: int, check: Check | None = None, *, warm_up: bool = True
) -> dict[str, list[Run]]:
    """Every side once a round; a round before the first fills the caches of disk and server for all."""
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for number in range(0 if warm_up else 1, rounds + 1):
        for side in sides:
            done = side.run(job, check)
            turn = f"round {number}" if number else "warm-up"
            print(f"  {turn}: {side.name} {done.seconds:.2f} s", flush=True)
            if number:
                runs[side.name].append(done)
    return runs


def seconds(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def process_seconds(runs: Sequence[Run]) -> float:
    return median(run.process_seconds for run in runs)


def cpu_seconds(runs: Sequence[Run]) -> float:
    return median(run.cpu_seconds for run in runs)


def peak_mb(runs: Sequence[Run]) -> float:
    return max(run.peak_mb for run in runs)
