"""Gold, killed at every point that matters: in the first build, and in that of a day's changes; and gold in the lake.

All chains read one silver, so that what an undisturbed one makes of it is what each has to hold, column for column.
"""

from dataclasses import dataclass
from pathlib import Path

from data_platform.lake.tables import Lake
from data_platform.sources.salesforce import TABLES
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, company
from tests.faults.launcher import Fault, InDbt, KillAt
from tests.faults.result import Result
from tests.faults.truth import Truth, gold_differs, gold_differs_from_truth, lake_differs

SIZES = Sizes(accounts=60, contacts=100, leads=300, opportunities=100)
TO_SILVER = 'key:"bronze/salesforce/*" or key:"silver/salesforce_*" or key:"silver/opportunity_amounts"'
GOLD = 'key:"gold/*"'
IN_THE_LAKE = 'key:"lake/gold/*"'
BUILD = "data_platform.gold.builder:Builder.build"
RUN_MODEL = "dbt.task.run:ModelRunner.execute"
COMMIT = "data_platform.lake.mirror:_commit"
RUN_SQL = "dbt.adapters.duckdb.connections:DuckDBConnectionManager.add_query"


@dataclass(frozen=True)
class Point:
    """Where a build is killed; a first build and a later one run other statements."""

    name: str
    first: Fault
    change: Fault


def _either_way(name: str, fault: Fault) -> Point:
    return Point(name, fault, fault)


POINTS = (
    _either_way("before dbt", KillAt(BUILD)),
    # Five views of staging come first.
    _either_way("between two models", InDbt(KillAt(RUN_MODEL, call=7))),
    Point(
        "inside a model",
        InDbt(KillAt(RUN_SQL, about="create  table", after=True)),
        InDbt(KillAt(RUN_SQL, about="delete from", after=True)),
    ),
    _either_way("after dbt, not reported", KillAt(BUILD, after=True)),
    _either_way("built, not shown to analysts", KillAt("data_platform.gold.readers:_copied")),
)


# Each is met by the run after the one before it: what that committed is as it should be, and is not written again.
LAKE_POINTS = {
    "in the lake: files written, not committed": KillAt(COMMIT, call=2),
    "in the lake: committed, not reported": KillAt(COMMIT, call=2, after=True),
}


def run() -> list[Result]:
    results = {point.name: Result(point.name) for point in POINTS}
    lake_results = {name: Result(name) for name in LAKE_POINTS}
    undisturbed = Result("undisturbed, against the truth")
    with company(SIZES) as (server, folder):
        truths = [Truth(server.world, table) for table in TABLES]
        lake = folder / "lake"
        first = Chain(folder / "undisturbed", server, LAKE_URI=lake)
        chains = {
            point.name: Chain(folder / str(number), server, LAKE_URI=lake)
            for number, point in enumerate(POINTS)
        }
        for change in (False, True):
            if change:
                server.control.advance()
            for truth in truths:
                truth.note()
            first.must_run(f"{TO_SILVER} or {GOLD}")
            for truth in truths:
                undisturbed.difference += gold_differs_from_truth(warehouse(first), truth)
            for point in POINTS:
                chain, fault = chains[point.name], point.change if change else point.first
                chain.must_be_killed(GOLD, fault)
                results[point.name].kills += 1
                chain.must_run(GOLD)
                results[point.name].difference += gold_differs(warehouse(chain), warehouse(first))
            for name, fault in LAKE_POINTS.items():
                first.must_be_killed(IN_THE_LAKE, fault)
                lake_results[name].kills += 1
            first.must_run(IN_THE_LAKE)
            for result in lake_results.values():
                result.difference += lake_differs(Lake(str(lake)), warehouse(first))
    return [undisturbed, *results.values(), *lake_results.values()]


def warehouse(chain: Chain) -> Path:
    return chain.home / "warehouse" / "warehouse.duckdb"
