"""`python -m tests.faults [name]`: runs one group of faults or all; the last line is the outcome as JSON."""

import os
import sys
import time
from collections.abc import Callable

from tests.faults import (
    dynamodb,
    kafka,
    kills_bronze,
    kills_gold,
    kills_maintenance,
    kills_model,
    kills_silver,
    kills_sources,
    random_kills,
    server,
    sources,
    surroundings,
    two_runs,
)
from tests.faults.result import Result, as_json, show

GROUPS: dict[str, Callable[[], list[Result]]] = {
    "kills-bronze": kills_bronze.run,
    "kills-sources": kills_sources.run,
    "sources": sources.run,
    "kafka": kafka.run,
    "dynamodb": dynamodb.run,
    "kills-silver": kills_silver.run,
    "kills-gold": kills_gold.run,
    "kills-model": kills_model.run,
    "kills-maintenance": kills_maintenance.run,
    "random": random_kills.run,
    "two-runs": two_runs.run,
    "server": server.run,
    "surroundings": surroundings.run,
}


# Killed runs leave semaphores behind, of which Python would warn below our last line.
NO_WARNING = "ignore::UserWarning:multiprocessing.resource_tracker"


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        sys.exit(f"there is no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    os.environ["PYTHONWARNINGS"] = NO_WARNING
    started = time.monotonic()
    results: dict[str, list[Result]] = {}
    for name in names or GROUPS:
        results[name] = outcome_of(name)
        show(name, results[name])
    sys.stdout.write(as_json(results, time.monotonic() - started) + "\n")
    return 0 if all(result.is_right for group in results.values() for result in group) else 1


def outcome_of(name: str) -> list[Result]:
    """A group that can't go on is a result as well, and the others are run all the same."""
    try:
        return GROUPS[name]()
    except (AssertionError, TimeoutError) as error:
        return [Result(f"{name} broke off", trouble=[str(error)])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
