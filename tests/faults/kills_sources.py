"""Each source's load, killed at every point that matters: the first load, and the load of a day's changes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.database_sources import Databases
from tests.faults.file_sources import Files
from tests.faults.launcher import Fault, KillAt
from tests.faults.loads import Loads, Source, Versions
from tests.faults.result import Result
from tests.faults.vendor_sources import Vendors

COMMIT = "deltalake:DeltaTable.create_write_transaction"
TAKE = "data_platform.bronze.load:_Load._take"


@dataclass(frozen=True)
class Point:
    """Where it is killed, and how many batches have been committed by then (None: as many as it needed)."""

    name: str
    kill: Fault
    committed: int | None = 0


# Each batch is a commit of its own.
POINTS = (
    Point("before the read", KillAt("data_platform.bronze.load:_Load._offered")),
    Point("asked, nothing taken", KillAt(TAKE)),
    Point("inside the read, after a commit", KillAt(TAKE, call=2), committed=1),
    Point("files written, not committed", KillAt(COMMIT)),
    Point("the second batch's files written, not committed", KillAt(COMMIT, call=2), committed=1),
    Point("committed, and the load still goes on", KillAt(COMMIT, after=True), committed=1),
    Point(
        "all committed, not reported",
        KillAt("data_platform.bronze.load:_Load.run", after=True),
        committed=None,
    ),
)
# What a source has beside them.
OF_CAPTURE = (
    # The slot is moved on by the load after the one that committed: the point above is before that, this one after.
    Point(
        "the slot made or moved on, nothing asked",
        KillAt("data_platform.connectors.postgres.session:Columnar.begin", after=True),
    ),
)
OF_REPORTS = (
    Point(
        "the report computed, not asked for",
        KillAt("data_platform.connectors.facebook.connector:_Insights._computed", after=True),
    ),
)
OF_FLOWS = (
    Point(
        "the flow started, not followed",
        KillAt("data_platform.connectors.landing.appflow:_start", after=True),
    ),
)
# The first batch has no bad record, the second has.
OF_FILES = (
    Point("quarantine committed, bronze not", KillAt(COMMIT, call=2, after=True), committed=1),
    Point("bronze's files written after quarantine's commit", KillAt(COMMIT, call=3), committed=1),
)


def run() -> list[Result]:
    with all_sources() as (sources, folder):
        return [
            killed(source, point, folder / f"{number}-{place}")
            for number, (source, points) in enumerate(sources)
            for place, point in enumerate(points)
        ]


@contextmanager
def all_sources() -> Iterator[tuple[Sequence[tuple[Source, Sequence[Point]]], Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        databases = stack.enter_context(Databases())
        vendors = stack.enter_context(Vendors())
        files = stack.enter_context(Files(folder))
        yield (
            (
                (databases.postgres, (*POINTS, *OF_CAPTURE)),
                (databases.mysql, POINTS),
                (databases.snowflake, POINTS),
                (vendors.facebook, (*POINTS, *OF_REPORTS)),
                (vendors.google, POINTS),
                (vendors.clevertap, POINTS),
                (vendors.people, POINTS),
                (files.rates, (*POINTS, *OF_FILES)),
                (files.accounts, (*POINTS, *OF_FILES, *OF_FLOWS)),
            ),
            folder,
        )


def killed(source: Source, point: Point, home: Path) -> Result:
    """The first load and the load of a day's changes, each killed and run again; then one that must find nothing."""
    result = Result(f"{source.name}: {point.name}")
    source.begin()
    versions = Versions(source)
    loads = Loads(home, source)
    for change in (False, True):
        if change:
            source.change(versions.note)
        versions.note()
        kill_and_run_again(loads, point, result)
        if not change:
            result.difference = versions.differ(loads.lake)
    # Where keys are compared, the load after one that was cut short does it.
    loads.must_run()
    result.difference += versions.differ(loads.lake)
    return result


def kill_and_run_again(loads: Loads, point: Point, result: Result) -> None:
    before = loads.batch
    loads.must_be_killed(point.kill)
    result.kills += 1
    committed = loads.batch - before
    if point.committed is None:
        if not committed:
            result.trouble.append("killed after all was committed, and nothing was")
    elif committed != point.committed:
        result.trouble.append(f"killed after {committed} batches, not {point.committed}")
    loads.must_run()
