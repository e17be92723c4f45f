"""Silver, killed at every point that matters: in the first refinement, and in that of a day's changes.

Each point has a table of its own in one of two lakes, so that one plain re-run follows several kills.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.declarations import SourceTable
from data_platform.sources.salesforce import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, TABLES
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, company
from tests.faults.launcher import Fault, KillAt, KillWhenWritten
from tests.faults.result import Result
from tests.faults.truth import Truth, silver_differs

SIZES = Sizes(accounts=60, contacts=100, leads=300, opportunities=100)
BRONZE = 'key:"bronze/salesforce/*"'
STEP = "data_platform.silver.step"
# As delta-rs begins one it has a longer name.
DATA_FILE = "*.parquet*"
# The commit itself, or the file beside its place that Delta in Spark then moves there.
COMMIT_ON_ITS_WAY = "_delta_log/*.json*"


@dataclass(frozen=True)
class Point:
    """Where the refinement of a table is killed."""

    name: str
    table: SourceTable
    kill: str
    after: bool = False
    # Of the table's folder, or of its quarantine's: dies when a file like this appears while `kill` runs.
    written: str = ""
    quarantine: bool = False
    alone: bool = False
    # The commits to silver by then, and to its quarantine; None where it may be either.
    committed: int | None = 0
    kept_back: int | None = None

    def fault(self, chain: Chain) -> Fault:
        if not self.written:
            return KillAt(f"{STEP}:{self.kill}", after=self.after)
        lake, name = chain.lake, self.table.silver_name
        folder = lake.silver_quarantine(name).uri if self.quarantine else lake.silver(name).uri
        return KillWhenWritten(f"{STEP}:{self.kill}", folder, self.written, self.alone)


# Every day brings a lead and a deal that go to quarantine.
LAKES = (
    (
        Point("before it starts", ACCOUNTS, "_refine"),
        Point("in the merge", CONTACTS, "write_silver", written=DATA_FILE),
        Point("quarantine committed, silver not", LEADS, "write_silver", kept_back=1),
        Point(
            "in quarantine's merge",
            OPPORTUNITIES,
            "keep_back",
            written=DATA_FILE,
            quarantine=True,
            kept_back=0,
        ),
    ),
    (
        Point("while Delta commits", ACCOUNTS, "write_silver", written=COMMIT_ON_ITS_WAY, committed=None),
        Point("committed, not reported", CONTACTS, "refine", after=True, committed=1),
        Point(
            "in the merge, the JVM left behind",
            LEADS,
            "write_silver",
            written=DATA_FILE,
            alone=True,
            committed=None,
        ),
        Point("Spark has read, nothing is written", OPPORTUNITIES, "_counts", after=True),
    ),
)


def run(lakes: Sequence[Sequence[Point]] = LAKES, loads: Sequence[str] = ("first", "change")) -> list[Result]:
    results = {point.name: Result(point.name) for points in lakes for point in points}
    with company(SIZES) as (server, folder):
        truths = {table: Truth(server.world, table) for table in TABLES}
        landed = Chain(folder / "landed", server)
        chains: list[Chain] = []
        for load in loads:
            if load == "change":
                server.control.advance()
            for truth in truths.values():
                truth.note()
            if load == "first":
                landed.must_run(BRONZE)
                chains = [landed.copy(folder / str(number)) for number in range(len(lakes))]
            for chain, points in zip(chains, lakes, strict=True):
                if load == "change":
                    chain.must_run(BRONZE)
                kill_each_and_run_again(chain, points, truths, results)
    return list(results.values())


def kill_each_and_run_again(
    chain: Chain, points: Sequence[Point], truths: dict[SourceTable, Truth], results: dict[str, Result]
) -> None:
    for point in points:
        kill(chain, point, results[point.name])
    chain.must_run(" or ".join(map(silver_of, points)))
    for point in points:
        results[point.name].difference += silver_differs(chain.lake, truths[point.table])


def kill(chain: Chain, point: Point, result: Result) -> None:
    before = batches(chain, point)
    chain.must_be_killed(silver_of(point), point.fault(chain))
    result.kills += 1
    expected = (point.committed, point.kept_back)
    for place, was, now, more in zip(
        ("silver", "quarantine"), before, batches(chain, point), expected, strict=True
    ):
        if more is not None and now - was != more:
            result.trouble.append(f"killed after {now - was} commits to {place}, not {more}")


def batches(chain: Chain, point: Point) -> tuple[int, int]:
    name = point.table.silver_name
    return chain.lake.silver(name).batch, chain.lake.silver_quarantine(name).batch


def silver_of(point: Point) -> str:
    return f'key:"silver/{point.table.silver_name}"'
