"""The company's model, killed in each silver table that is made of several sources, and in the gold behind them.

All is made of one bronze, which a small company's sources handed over. A run is killed in its table, and the next one
goes on to the next table; what a chain that nobody disturbed makes of the same bronze is what must be there in the end.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.company import Company, Size
from benchmarks.handed_over import land, tables_of
from data_platform.lake.tables import Lake
from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.catalogue import JOINED
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES
from data_platform.silver.customers import CUSTOMERS
from data_platform.silver.joined import Joined
from data_platform.silver.order_reconciliation import ORDER_RECONCILIATION
from data_platform.silver.orders import ORDERS
from data_platform.silver.payments import PAYMENTS
from data_platform.silver.products import PRODUCTS
from data_platform.silver.user_sessions import USER_SESSIONS
from tests.faults.chain import Chain
from tests.faults.kills_gold import RUN_MODEL, warehouse
from tests.faults.kills_silver import COMMIT_ON_ITS_WAY, DATA_FILE
from tests.faults.launcher import Fault, InDbt, KillAt, KillWhenWritten
from tests.faults.result import Difference, Result, Row
from tests.faults.truth import gold_differs, held

SIZE = Size(orders=2_000, customers=400, events=8_000)
STEP = "data_platform.silver.joined_step"


@dataclass(frozen=True)
class Point:
    """Where the making of a table is killed: at a call that mentions it, or as a file like this shows in its folder."""

    name: str
    table: Joined
    kill: str = ""
    after: bool = False
    written: str = ""
    # Its commits by then; None where it may be either.
    committed: int | None = 0

    def fault(self, lake: Lake) -> Fault:
        if self.written:
            return KillWhenWritten(f"{STEP}:join", lake.silver(self.table.name).uri, self.written)
        return KillAt(f"{STEP}:{self.kill}", after=self.after, about=f"name='{self.table.name}'")


# In the order in which they are made, so that each run comes to its own.
POINTS = (
    Point("ad performance, before it starts", AD_PERFORMANCE, "_join"),
    Point("identities, as rows are written", CUSTOMER_IDENTITIES, written=DATA_FILE),
    Point("customers, while Delta commits", CUSTOMERS, written=COMMIT_ON_ITS_WAY, committed=None),
    Point("products, committed and not reported", PRODUCTS, "join", after=True, committed=1),
    Point("orders, as rows are written", ORDERS, written=DATA_FILE),
    Point("payments, while Delta commits", PAYMENTS, written=COMMIT_ON_ITS_WAY, committed=None),
    Point(
        "reconciliation, committed and not reported", ORDER_RECONCILIATION, "join", after=True, committed=1
    ),
    Point("sessions, as rows are written", USER_SESSIONS, written=DATA_FILE),
)


def run() -> list[Result]:
    results = {point.name: Result(point.name) for point in POINTS}
    gold = Result("gold, between two models")
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        company = Company(folder / "handed over", SIZE)
        undisturbed, killed = Chain(folder / "undisturbed"), Chain(folder / "killed")
        for day in (0, 1):
            company.write(day)
            for table in tables_of(company.folder):
                land(table, company.folder, undisturbed.lake, 1_000)
            bronze, copy = (chain.home / "lake" / "bronze" for chain in (undisturbed, killed))
            shutil.copytree(bronze, copy, dirs_exist_ok=True)
            undisturbed.must_run(silver_and_gold(company))
            for point in POINTS:
                kill(killed, point, company, results[point.name])
            killed.must_be_killed(silver_and_gold(company), InDbt(KillAt(RUN_MODEL, call=30)))
            gold.kills += 1
            killed.must_run(silver_and_gold(company))
            for point in POINTS:
                results[point.name].difference += silver_differs(point.table, killed.lake, undisturbed.lake)
            gold.difference += gold_differs(warehouse(killed), warehouse(undisturbed))
    return [*results.values(), gold]


def kill(chain: Chain, point: Point, company: Company, result: Result) -> None:
    table = chain.lake.silver(point.table.name)
    before = table.batch if table.exists else 0
    needed = {point.table.name, *names_behind(point.table)}
    chain.must_be_killed(silver(needed & silver_of(company)), point.fault(chain.lake))
    result.kills += 1
    made = table.fresh()
    commits = (made.batch if made.exists else 0) - before
    if point.committed is not None and commits != point.committed:
        result.trouble.append(f"killed after {commits} commits, not {point.committed}")


def silver_and_gold(company: Company) -> str:
    return f'{silver(silver_of(company))} or key:"gold/*"'


def silver_of(company: Company) -> set[str]:
    """The silver tables of which anything can be made."""
    declared = {table.silver_name for table in tables_of(company.folder)}
    return declared | {table.name for table in JOINED if names_behind(table) & declared}


def names_behind(table: Joined) -> set[str]:
    """Its inputs, and theirs."""
    return {source.silver_name for source in table.inputs}.union(
        *(names_behind(source) for source in table.inputs if isinstance(source, Joined))
    )


def silver(names: Collection[str]) -> str:
    return " or ".join(f'key:"silver/{name}"' for name in sorted(names))


def silver_differs(table: Joined, lake: Lake, undisturbed: Lake) -> Difference:
    """Every row whole, its batch as well: a run that was killed before its commit has used none up."""
    rows, expected = (held(each, f"silver/{table.name}") for each in (lake, undisturbed))
    return Difference.between(
        {key_of(table, row): row for row in expected}, rows, lambda row: key_of(table, row)
    )


def key_of(table: Joined, row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in table.key)
