"""What puts a table's files together, killed at every point: in line beside the loads, and at night."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock, patch

import pyarrow as pa

from data_platform.bronze.load import bronze_table
from data_platform.lake.append import Appender
from data_platform.lake.compaction import AT_FILES, compact_small, live_files
from data_platform.lake.maintenance import tend
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import Lake, Note
from data_platform.sources.postgres import PAYMENTS
from tests.faults.chain import Ended, Run
from tests.faults.launcher import Fault, KillAt, prepare
from tests.faults.result import Difference, Result
from tests.faults.truth import held

NAME = "/".join(PAYMENTS.asset_path)
KEY = PAYMENTS.key[0]
COMMITS_A_DAY = AT_FILES
COMMIT = "deltalake:DeltaTable.create_write_transaction"


@dataclass(frozen=True)
class Point:
    """Where it is killed; today's files are put together first, and then yesterday is put in order."""

    name: str
    kill: Fault


POINTS = (
    Point("rows copied, their file not whole", KillAt("data_platform.lake.files:DataFile.write", after=True)),
    Point("today's files put together, not committed", KillAt(COMMIT)),
    Point("today's files put together and committed", KillAt(COMMIT, after=True)),
    Point("yesterday in order, not committed", KillAt(COMMIT, call=2)),
    Point("yesterday in order and committed", KillAt(COMMIT, call=2, after=True)),
    Point("replaced files removed", KillAt("deltalake:DeltaTable.vacuum", after=True)),
    Point("checkpoint made, the log not shortened", KillAt("deltalake:DeltaTable.cleanup_metadata")),
)


def run(points: Sequence[Point] = POINTS) -> list[Result]:
    with TemporaryDirectory(prefix="faults-") as folder:
        return [killed(point, Path(folder) / str(number)) for number, point in enumerate(points)]


def killed(point: Point, home: Path) -> Result:
    home.mkdir()
    lake = Lake(str(home / "lake"))
    fill(lake)
    before = lake.bronze(PAYMENTS)
    truth, position = {row[KEY]: row for row in held(lake, NAME)}, before.position
    result = Result(point.name, kills=1)
    if not tended(home, point.kill).was_killed:
        result.trouble.append("it never came to where it was to be killed")
    result.difference = Difference.between(truth, held(lake, NAME), lambda row: row[KEY])
    if (ended := tended(home)).code != 0:
        result.trouble.append(f"a plain run after it failed: {ended.said[-2000:]}")
    result.difference += Difference.between(truth, held(lake, NAME), lambda row: row[KEY])
    after = lake.bronze(PAYMENTS)
    # A file for each day.
    if (after.batch, after.position, len(live_files(after))) != (before.batch, position, 2):
        result.trouble.append(f"{len(live_files(after))} files, and the position is {after.position}")
    return result


def fill(lake: Lake) -> None:
    """Small commits of two days."""
    appender = Appender(bronze_table(PAYMENTS, lake))
    today = datetime.now(UTC)
    for number in range(2 * COMMITS_A_DAY):
        day = today - timedelta(days=1 - number // COMMITS_A_DAY)
        row: dict[str, Any] = {KEY: number, "_op": "upsert", "_order": number}
        with patch("data_platform.lake.append.datetime", Mock(now=lambda _, day=day: day)):
            appender.write(pa.RecordBatch.from_pylist([row], schema=connector_schema(PAYMENTS)))
            appender.commit(Note({"number": number}))


def tended(home: Path, *faults: Fault) -> Ended:
    output = home / "run.log"
    return Run(partial(tend_all, str(home / "lake"), output, faults), output).wait()


def tend_all(lake: str, output: Path, faults: Sequence[Fault]) -> None:
    """The whole life of a forked process."""
    prepare({}, output, faults)
    table = Lake(lake).bronze(PAYMENTS)
    compact_small(table.fresh())
    tend(table.fresh(), PAYMENTS.key, keep_replaced=timedelta(0))
