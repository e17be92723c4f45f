"""Every misbehaviour of the server, and all that happens to records between loads, through the load of bronze."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from data_platform.bronze.load import Loaded, load
from data_platform.connectors.salesforce import Salesforce
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.sources.salesforce import LEADS
from sandbox.salesforce.control import Control
from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes
from tests.faults.chain import company
from tests.faults.disturbed import Meanwhile
from tests.faults.result import Result, Row
from tests.faults.truth import Truth, bronze_differs

SIZES = Sizes(accounts=20, contacts=20, leads=500, opportunities=20)
PAGES, RESULTS = "*/query*", "*/results"
NEW = {"LastName": "New", "Company": "Ltd"}
# Retries are as many as in life, and quick; Bulk has several pages.
QUICK = {
    "data_platform.connectors.http.FIRST_WAIT": 0.01,
    "data_platform.connectors.salesforce.bulk.FIRST_LOOK": 0.01,
    "data_platform.connectors.salesforce.bulk.PAGE_ROWS": 100,
}


class Leads:
    """The leads of one company, and the bronze that they are loaded into."""

    def __init__(self, server: SalesforceServer, home: Path, bulk: bool) -> None:
        self.control: Control = server.control
        self.ids = list(server.world.records("leads").ids)
        self.truth = Truth(server.world, LEADS)
        self.lake = Lake(str(home / "lake"))
        # How a record of the truth shows in bronze.
        self.shown: Callable[[Row], Row] = lambda row: row
        given: dict[str, Any] = {name.lower(): value for name, value in server.settings().items()}
        threshold = {"salesforce_bulk_threshold": 1} if bulk else {}
        self.settings = Settings(_env_file=None, data_platform_home=home, **given, **threshold)

    def load(self, meanwhile: Callable[[], None] | None = None) -> Loaded:
        """One load; `meanwhile` happens after the second page."""
        self.truth.note()
        return load(LEADS, Meanwhile(Salesforce(self.settings), meanwhile), self.lake, commit_rows=150)


Case = Callable[[Leads], None]


def planted(plant: Callable[[Control], object]) -> Case:
    """Trouble that the first load and a later one meet."""

    def case(leads: Leads) -> None:
        for _ in range(2):
            plant(leads.control)
            leads.load()
            leads.control.update("Lead", leads.ids[:350], Rating="Hot")
        leads.load()

    return case


def in_pages_and_results(name: str, plant: Callable[[Control, str], object]) -> dict[str, tuple[Case, bool]]:
    return {
        f"{name}, REST": (planted(lambda control: plant(control, PAGES)), False),
        f"{name}, Bulk": (planted(lambda control: plant(control, RESULTS)), True),
    }


def locator_expires(leads: Leads) -> None:
    leads.load(meanwhile=leads.control.expire_locators)


def ties_across_a_page_edge(leads: Leads) -> None:
    leads.control.update("Lead", leads.ids, Rating="Hot")
    leads.load()
    leads.control.update("Lead", leads.ids[:350], Rating="Cold")
    leads.load()


def rows_turn_up_late(leads: Leads) -> None:
    leads.load()
    leads.control.hold_back("Lead", NEW, minutes=5)
    leads.control.insert("Lead", [NEW])
    leads.load()
    leads.control.release()
    leads.load()


def deleted_and_undeleted(leads: Leads) -> None:
    """Between loads: some deleted, of which one comes back; one deleted and back within the same gap."""
    leads.load()
    first, second, third, *_ = (each["Id"] for each in leads.truth.versions.values() if not each["IsDeleted"])
    leads.control.delete("Lead", [first, second])
    leads.load()
    leads.control.undelete("Lead", [first])
    leads.control.delete("Lead", [third])
    leads.control.undelete("Lead", [third])
    leads.load()


def column_appears(leads: Leads) -> None:
    leads.control.add_column("Lead", "Score__c", "double", 12.5)
    leads.shown = lambda row: {**row, "_rescued": '{"Score__c":12.5}'}
    leads.load()


def column_vanishes(leads: Leads) -> None:
    leads.control.drop_column("Lead", "Rating")
    leads.shown = lambda row: {**row, "Rating": None}
    leads.load()


def type_changes(leads: Leads) -> None:
    leads.control.retype_column("Lead", "AnnualRevenue", "string")
    (odd,) = leads.control.insert("Lead", [{**NEW, "AnnualRevenue": "a lot"}])
    rescued = {"AnnualRevenue": None, "_rescued": '{"AnnualRevenue":"a lot"}'}
    leads.shown = lambda row: {**row, **rescued} if row["Id"] == odd else row
    leads.load()


# Each case, and whether it is read by Bulk.
CASES: dict[str, tuple[Case, bool]] = {
    **in_pages_and_results("429", lambda control, path: control.fail_next(429, path, times=2, after=1)),
    **in_pages_and_results(
        "503 with Retry-After", lambda control, path: control.fail_next(503, path, after=1, retry_after=1)
    ),
    **in_pages_and_results("truncated body", lambda control, path: control.truncate_next(path, after=1)),
    **in_pages_and_results(
        "malformed body", lambda control, path: control.garble_next(path, times=2, after=1)
    ),
    **in_pages_and_results("cut connection", lambda control, path: control.cut_next(path, after=1)),
    "token expires in mid-paging": (planted(lambda control: control.expire_sessions(after_pages=2)), False),
    "token expires, Bulk": (planted(lambda control: control.expire_sessions()), True),
    "expired locator": (locator_expires, False),
    "failed Bulk job": (planted(lambda control: control.fail_next_job()), True),
    "Bulk result is gone": (planted(lambda control: control.fail_next(404, RESULTS, code="NOT_FOUND")), True),
    "ties across a page edge": (ties_across_a_page_edge, False),
    "rows turn up late": (rows_turn_up_late, False),
    "deleted and undeleted, REST": (deleted_and_undeleted, False),
    "deleted and undeleted, Bulk": (deleted_and_undeleted, True),
    "new column": (column_appears, False),
    "lost column": (column_vanishes, False),
    "changed type": (type_changes, False),
}


def run() -> list[Result]:
    with quickly():
        return [meet(name, case, bulk) for name, (case, bulk) in CASES.items()]


def meet(name: str, case: Case, bulk: bool) -> Result:
    result = Result(name)
    with company(SIZES) as (server, folder):
        leads = Leads(server, folder, bulk)
        case(leads)
        if to_come := leads.control.status()["misbehaviours to come"]:
            result.trouble.append(f"{to_come} of the misbehaviours never happened")
        quiet = leads.load()
        if quiet.receipt.landed or not quiet.receipt.adds_up:
            result.trouble.append(f"a quiet load says {quiet.receipt.says}")
        result.difference = bronze_differs(leads.lake, leads.truth, shown=leads.shown)
    return result


@contextmanager
def quickly() -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in QUICK.items():
            stack.enter_context(patch(name, value))
        yield
