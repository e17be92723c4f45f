"""Two runs of one asset at once: they meet where each is about to commit, and one has to win."""

from data_platform.sources.salesforce import LEADS
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, Ended, company
from tests.faults.launcher import MeetAt
from tests.faults.result import Result
from tests.faults.truth import Truth, bronze_differs, silver_differs

SIZES = Sizes(accounts=40, contacts=40, leads=300, opportunities=40)
BRONZE = 'key:"bronze/salesforce/leads"'
SILVER = 'key:"silver/salesforce_leads"'
# What the one that lost may say, where it did not read again.
CLEAR = "another run"


def run() -> list[Result]:
    results = []
    with company(SIZES) as (server, folder):
        truth = Truth(server.world, LEADS)
        chain = Chain(folder / "home", server, COMMIT_ROWS=200)
        # Two runs at once can't be the first that Dagster sees: its own storage is made by one.
        chain.must_run('key:"bronze/salesforce/accounts"')
        for load in ("first load", "change"):
            if load == "change":
                server.control.advance()
                server.control.update("Lead", server.world.records("leads").ids[:250], Rating="Hot")
            truth.note()
            bronze, silver = Result(f"bronze, {load}"), Result(f"silver, {load}")
            together(chain, BRONZE, "deltalake:DeltaTable.create_write_transaction", bronze)
            bronze.difference = bronze_differs(chain.lake, truth)
            together(chain, SILVER, "data_platform.silver.step:write_silver", silver)
            silver.difference = silver_differs(chain.lake, truth)
            results += [bronze, silver]
    return results


def together(chain: Chain, select: str, meeting_point: str, result: Result) -> None:
    place = chain.home / f"meeting-{chain.runs}"
    place.mkdir()
    meeting = MeetAt(meeting_point, place)
    ended = [run.wait() for run in [chain.start(select, meeting) for _ in range(2)]]
    won = [each for each in ended if each.code == 0]
    if not won:
        result.trouble.append("neither of the two runs ended well")
    result.trouble += [trouble for each in ended if (trouble := unclear(each))]


def unclear(ended: Ended) -> str | None:
    if "STEP_UP_FOR_RETRY" in ended.said:
        return f"it met an error that nobody foresaw, and only Dagster's retry helped: {ended.said[-1500:]}"
    if ended.code == 0 or CLEAR in ended.said:
        return None
    return f"the run that lost does not say why: {ended.said[-1500:]}"
