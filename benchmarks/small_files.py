"""5,000 commits of 500 rows into a table that is put together in line, and into one that is left as they landed.

Both are written by the same appender; the second has Delta's own settings, with a checkpoint each 100 commits. Over
the run: live files, the log, what is read of it to open the table, the time to open it and to answer a question. At
the end the question is put to the same rows in large files of one commit too. The run is drawn as
docs/images/small-files.png.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.loads.job import Job
from benchmarks.loads.small_files import COMMITS, ROWS_A_COMMIT
from benchmarks.result import Result
from benchmarks.turns import CHECKOUT, PEERS, Run, Side, empty_folder, start

PLOT = CHECKOUT / "docs" / "images" / "small-files.png"
HOW = ("compacted", "as_landed")


def measure() -> Result:
    runs = {how: one(how) for how in HOW}
    seen = {how: run.details for how, run in runs.items()}
    for how, details in seen.items():
        check(how, details)
    ends = {how: details["looks"][-1] for how, details in seen.items()}
    draw({how: details["looks"] for how, details in seen.items()})
    ours = seen["compacted"]["query_ms"]
    return Result(
        name="small-files",
        unit="ms",
        ours=ours,
        peers={"as_landed": seen["as_landed"]["query_ms"]},
        # Shorter is better.
        ratio=seen["as_landed"]["query_ms"] / ours,
        peak_mb=seen["compacted"]["peak_mb"],
        rows=COMMITS * ROWS_A_COMMIT,
        details={
            "query_vs_compacted": ours / seen["compacted"]["ideal_query_ms"],
            "uncompacted_query_vs_compacted": seen["as_landed"]["query_ms"]
            / seen["as_landed"]["ideal_query_ms"],
            "metadata_vs_uncompacted": share(ends, "metadata_bytes_to_open"),
            "log_vs_uncompacted": share(ends, "log_bytes"),
            "planning_vs_uncompacted": share(ends, "planning_ms"),
            "most_files": seen["compacted"]["most_files"],
            "times_a_row_was_copied": seen["compacted"]["copied"],
            "seconds": {how: run.seconds for how, run in runs.items()},
            "looks": {how: details["looks"] for how, details in seen.items()},
        },
    )


def one(how: str) -> Run:
    with empty_folder() as folder:
        done = start(Side(how, "small_files"), Job(how), folder)
    print(f"  {how} {done.seconds:.0f} s", flush=True)
    return done


def share(ends: Mapping[str, Mapping[str, float]], what: str) -> float:
    """Ours, of what stands at the end in the table that is left as it landed."""
    return ends["compacted"][what] / ends["as_landed"][what]


def check(how: str, details: Mapping[str, Any]) -> None:
    """By type of event: as many of each, and the sum of a quarter of each row's number up to 10,000."""
    rows = range(ROWS_A_COMMIT, (COMMITS + 1) * ROWS_A_COMMIT)
    for place, kind in enumerate(("view", "click", "order", "return")):
        of_kind = [row for row in rows if row % 4 == place]
        expected = (len(of_kind), round(sum(row % 10_000 for row in of_kind) / 4, 2))
        (found,) = [each for each in details["answer"] if each["event_type"] == kind]
        if (found["events"], found["amount"]) != expected:
            raise AssertionError(f"{how} holds of {kind} {found} where {expected} landed")
    if details["position"] != {"reached": COMMITS}:
        raise AssertionError(f"{how} is at {details['position']} after {COMMITS} commits")


def draw(looks: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """In the peers' environment, which has what draws."""
    subprocess.run(
        [PEERS, "-m", "benchmarks.draw_small_files", str(PLOT)],
        cwd=CHECKOUT, input=json.dumps(looks), text=True, check=True,
    )  # fmt: skip
