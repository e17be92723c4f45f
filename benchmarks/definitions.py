"""How long the definitions take to load, and `dagster definitions validate` as its user waits for it."""

import subprocess
import time
from pathlib import Path
from statistics import median

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.turns import CHECKOUT, OURS, Side, cpu_seconds, peak_mb, process_seconds, seconds, take_turns

ROUNDS = 3


def measure() -> Result:
    runs = take_turns([Side("loading", "definitions")], Job(), ROUNDS)["loading"]
    return Result(
        name="definitions",
        unit="s",
        ours=seconds(runs),
        peak_mb=peak_mb(runs),
        details={
            "seconds_from_process_start": process_seconds(runs),
            "cpu_seconds": cpu_seconds(runs),
            "dagster_definitions_validate_seconds": median(validate() for _ in range(ROUNDS)),
            "assets": runs[-1].details["assets"],
        },
    )


def validate() -> float:
    begun = time.perf_counter()
    subprocess.run(
        [Path(OURS).with_name("dagster"), "definitions", "validate"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - begun
