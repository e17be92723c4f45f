"""Finds the customers of a generated company, and then again after a day, and scores both."""

import time
from pathlib import Path
from typing import Any

from benchmarks.loads.chain import start_spark
from benchmarks.loads.job import Job, run
from benchmarks.people import InSilver, customers_of, score
from data_platform.lake.spark import session
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES
from data_platform.silver.customers import CUSTOMERS
from data_platform.silver.joined_step import join
from sandbox.world.company import Sizes, World
from sandbox.world.engagement import EngagementWorld
from sandbox.world.shop import Shop

PEOPLE = 20_000
SIZES = Sizes(accounts=2_000, contacts=PEOPLE, leads=12_000, opportunities=20)
IN_APP = 8_000


def load(job: Job) -> dict[str, Any]:
    world = World(sizes=SIZES)
    shop, app = Shop(world), EngagementWorld(people=IN_APP, now=world.now, company=world)
    silver = InSilver(Lake(str(Path(job.folder) / "lake")), world, shop, app)
    told = {"first": found(silver, silver.write())}
    world.advance()
    for _ in shop.live_a_day():
        pass
    return told | {"change": found(silver, silver.write())}


def found(silver: InSilver, changed: dict[str, int]) -> dict[str, Any]:
    """Bring both tables up to what changed; what it took, and how right it is."""
    seconds, written = {}, {}
    for table in (CUSTOMER_IDENTITIES, CUSTOMERS):
        begun = time.perf_counter()
        made = join(lambda: session(Settings()), table, silver.lake)
        seconds[table.name] = round(time.perf_counter() - begun, 3)
        written[table.name] = made.keys
    scored = score(customers_of(silver.lake), silver.people)
    return {
        "precision": scored.precision,
        "recall": scored.recall,
        "records": scored.records,
        "seconds": seconds,
        "rows_read": sum(changed.values()),
        "rows_written": written,
    }


if __name__ == "__main__":
    run(load, start_spark)
