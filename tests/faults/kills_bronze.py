"""Bronze, killed at every point that matters: in the first load, and in the load of a day's changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.sources.salesforce import LEADS
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, company
from tests.faults.launcher import Constant, Fault, KillAt
from tests.faults.result import Result
from tests.faults.truth import Truth, bronze_differs
from tests.faults.undecodable import Undecodable

SIZES = Sizes(accounts=40, contacts=40, leads=600, opportunities=40)
SELECT = 'key:"bronze/salesforce/leads"'
COMMIT = "deltalake:DeltaTable.create_write_transaction"
TAKE = "data_platform.bronze.load:_Load._take"
BULK_PAGES = Constant("data_platform.connectors.salesforce.bulk:PAGE_ROWS", 100)


@dataclass(frozen=True)
class Point:
    """Where it is killed, and how many batches have been committed by then."""

    name: str
    kill: Fault
    committed: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    # What goes wrong in the plain re-run too.
    always: tuple[Fault, ...] = ()


IN_BULK = {"SALESFORCE_BULK_THRESHOLD": 1}
# Pages of 100 rows, committed when 200 are there.
POINTS = (
    Point("before the table is made", KillAt("data_platform.bronze.load:bronze_table")),
    Point("before the read", KillAt("data_platform.connectors.salesforce.connector:Salesforce.offer")),
    Point("after the first page", KillAt(TAKE, call=2)),
    Point("inside the read, after a commit", KillAt(TAKE, call=4), committed=1),
    Point(
        "inside a Bulk read",
        KillAt("data_platform.connectors.salesforce.bulk:_asked", call=3),
        settings=IN_BULK,
        always=(BULK_PAGES,),
    ),
    Point("Bulk files written, not committed", KillAt(COMMIT), settings=IN_BULK, always=(BULK_PAGES,)),
    Point("data files written, not committed", KillAt(COMMIT)),
    Point("the second batch's files written, not committed", KillAt(COMMIT, call=2), committed=1),
    Point("committed, and the load still goes on", KillAt(COMMIT, after=True), committed=1),
    Point("all committed, not reported", KillAt("data_platform.bronze.assets:load", after=True), committed=3),
    Point("quarantine committed, bronze not", KillAt(COMMIT, call=2), always=(Undecodable(),)),
    Point(
        "both committed, not reported",
        KillAt("data_platform.bronze.assets:load", after=True),
        committed=2,
        always=(Undecodable(),),
    ),
)


def run(points: Sequence[Point] = POINTS) -> list[Result]:
    results = {point.name: Result(point.name) for point in points}
    with company(SIZES) as (server, folder):
        truth = Truth(server.world, LEADS)
        chains = {
            point.name: Chain(folder / str(number), server, COMMIT_ROWS=200, **point.settings)
            for number, point in enumerate(points)
        }
        for change in (False, True):
            if change:
                server.control.advance()
                # In one second, so that ties lie across the edges of pages.
                server.control.update("Lead", server.world.records("leads").ids[:450], Rating="Hot")
            truth.note()
            for point in points:
                kill_and_run_again(chains[point.name], point, truth, results[point.name])
    return list(results.values())


def kill_and_run_again(chain: Chain, point: Point, truth: Truth, result: Result) -> None:
    bronze = chain.lake.bronze(LEADS)
    before = bronze.batch
    chain.must_be_killed(SELECT, point.kill, *point.always)
    result.kills += 1
    if bronze.fresh().batch - before != point.committed:
        result.trouble.append(f"killed after {bronze.fresh().batch - before} batches, not {point.committed}")
    chain.must_run(SELECT, *point.always)
    undecodable = Undecodable() in point.always
    result.difference += bronze_differs(chain.lake, truth, undecodable=undecodable)
