"""What happens to landed files: bad records among a million good ones, flows that fail."""

from pathlib import Path

from data_platform.bronze.load import load
from data_platform.connectors.base import SourceError
from data_platform.connectors.landing.connector import LandingFiles
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.sources.salesforce import ACCOUNTS
from sandbox.landing.zone import LandingFolder
from tests.faults.disturbed import Disturbed, Trouble
from tests.faults.file_sources import FlownAccounts
from tests.faults.result import Difference, Result
from tests.faults.truth import held

MANY = 1_000_000
FIRST, BAD = b"Id,Name,SystemModstamp\n", b"too,short\n"
# A row that says by its name which it is.
GOOD = b"%018d,Account %018d,2026-06-01T06:00:00Z\n"
AS_WRITTEN = """
    select count(*) as rows, count(distinct "Id") as keys, count(*) filter (where "Name" = 'Account ' || "Id"
    and _op = 'upsert' and _rescued is null) as alike from held
"""


def one_bad_row(folder: Path) -> Result:
    """A million good rows and one that is none, between them: it is set aside, and they land."""
    result = Result(f"landing files: a bad row among {MANY:,}")
    zone = LandingFolder(folder / "many")
    rows = [GOOD % (number, number) for number in range(MANY)]
    rows.insert(MANY * 2 // 3, BAD)
    zone.put("raw/salesforce/Account/2026/06/01/many.csv", FIRST + b"".join(rows))
    settings = Settings(_env_file=None, data_platform_home=folder, landing_uri=str(zone.folder))  # type: ignore[call-arg]
    lake = Lake(str(folder / "lake-of-many"))
    receipt = load(ACCOUNTS, LandingFiles(settings), lake, settings.commit_rows).receipt
    if receipt.says != f"{MANY + 1:,} offered = {MANY:,} landed + 0 overlap + 1 quarantined":
        result.trouble.append(f"the receipt says {receipt.says}")
    (counted,) = lake.bronze(ACCOUNTS).query(AS_WRITTEN).to_pylist()
    landed = Difference(
        lost=MANY - counted["keys"],
        doubled=counted["rows"] - counted["keys"],
        differing=counted["rows"] - counted["alike"],
    )
    set_aside = held(lake, f"quarantine/{ACCOUNTS.system}/{ACCOUNTS.name}")
    result.difference = landed + Difference.between({BAD: {}}, set_aside, lambda row: row["_body"] + b"\n")
    return result


def flow_fails(accounts: FlownAccounts, disturbed: Disturbed) -> None:
    """The load says why; the one after it runs the flow again."""
    for _ in range(2):
        accounts.server.fail(accounts.flow, "The connection to Salesforce was lost.")
        disturbed.fails(SourceError, "The connection to Salesforce was lost")
        accounts.server.failing.clear()
        disturbed.load()
        disturbed.change()


def flow_takes_too_long(accounts: FlownAccounts, disturbed: Disturbed) -> None:
    """The load leaves it; the next follows the same run."""
    for number in (1, 2):
        accounts.server.looks_until_done = 1_000
        disturbed.fails(SourceError, "was not done after", appflow_patience=0.05)
        # Two looks more than the newest run has had.
        accounts.server.looks_until_done = list(accounts.server._looks.values())[-1] + 2
        disturbed.load()
        accounts.server.looks_until_done = 2
        if len(accounts.server.started) != accounts.started_before + number:
            raise AssertionError("the flow was started once more, and not followed")
        disturbed.change()


OF_FLOWS = (Trouble("the flow fails", flow_fails), Trouble("the flow takes too long", flow_takes_too_long))
