"""The whole chain, killed at moments that nobody chose, day after day."""

import random
import time

from data_platform.sources.salesforce import TABLES
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, company
from tests.faults.kills_gold import warehouse
from tests.faults.result import Difference, Result
from tests.faults.truth import Truth, bronze_differs, gold_differs_from_truth, silver_differs

SIZES = Sizes(accounts=60, contacts=100, leads=300, opportunities=100)
# Of the CRM: the marts, and what they are made of.
EVERYTHING = '+group:"crm" and not key:"*exchange_rates"'
KILLS_BY_DAY = (4, 3, 3)


def run() -> list[Result]:
    """A day's kills follow each other; then a plain run must put all right."""
    seed = random.SystemRandom().randrange(10_000)
    chance = random.Random(seed)  # noqa: S311 - no secret
    results = []
    with company(SIZES) as (server, folder):
        truths = [Truth(server.world, table) for table in TABLES]
        chain = Chain(folder / "home", server, COMMIT_ROWS=100)
        usual = seconds_of_a_whole_run(chain.copy(folder / "other"))
        for day, kills in enumerate(KILLS_BY_DAY):
            result = Result(f"day {day}, at random (seed {seed})")
            if day:
                server.control.advance()
            for truth in truths:
                truth.note()
            for _ in range(kills):
                result.kills += kill_after(chain, chance.uniform(0.5, usual))
            chain.must_run(EVERYTHING)
            result.difference = differs(chain, truths)
            results.append(result)
    return results


def seconds_of_a_whole_run(chain: Chain) -> float:
    started = time.monotonic()
    chain.must_run(EVERYTHING)
    return time.monotonic() - started


def kill_after(chain: Chain, seconds: float) -> int:
    """1 where it was killed; a run that was quicker than that has ended well."""
    run = chain.start(EVERYTHING)
    run.process.join(seconds)
    if run.process.exitcode is None:
        run.kill()
        return 1
    if run.process.exitcode != 0:
        raise AssertionError(f"a run after a kill failed:\n{run.wait().said[-6000:]}")
    return 0


def differs(chain: Chain, truths: list[Truth]) -> Difference:
    found = Difference()
    for truth in truths:
        found += bronze_differs(chain.lake, truth) + silver_differs(chain.lake, truth)
        found += gold_differs_from_truth(warehouse(chain), truth)
    return found
