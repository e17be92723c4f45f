"""Tables that are landed as files, for loads to be disturbed: what lets them come in many batches, and what is true of
them."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import ACCOUNTS
from sandbox.landing.appflow import AppFlowServer
from sandbox.landing.files import csv_lines
from sandbox.landing.rates import rates_on
from sandbox.landing.zone import LandingFolder, land_rates
from tests.faults.launcher import Constant
from tests.faults.loads import Key, Note
from tests.faults.result import Row

# An object is a batch.
ONE_BY_ONE = (Constant("data_platform.connectors.landing.connector:GROUP_OBJECTS", 1),)
FIRST_DAY = date(2026, 6, 1)
ROWS_PER_FILE = 40
NO_RESPONSE = b'{"base": "USD"'
NO_ROW = b"%d,too short"


class Rates:
    """The exchange rates that a Lambda lands; the second file that a load finds is cut off."""

    name = "landing files"
    table = EXCHANGE_RATES
    small = ONE_BY_ONE

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun = 0

    def settings(self) -> Mapping[str, str]:
        return self.zone.settings()

    def begin(self) -> None:
        self.begun += 1
        self.zone = LandingFolder(self.folder / str(self.begun))
        self.rates: dict[date, dict[str, float]] = {}
        self.cut: list[bytes] = []
        self.day = FIRST_DAY
        self._publish(cut_off=1)

    def change(self, note: Note) -> None:
        """The newest rates are published anew, and those of further days."""
        corrected = max(self.rates)
        self._land(corrected, {name: rate + 1 for name, rate in self.rates[corrected].items()})
        self._publish(cut_off=0)

    def records(self) -> Mapping[Key, Row]:
        return {
            (currency, day): {"currency": currency, "date": day, "base": "USD", "rate": Decimal(str(rate))}
            for day, rates in self.rates.items()
            for currency, rate in rates.items()
        }

    def undecodable(self) -> Sequence[bytes]:
        return self.cut

    def _publish(self, cut_off: int) -> None:
        """Four days, of which one is no whole file."""
        for number in range(4):
            self.day += timedelta(days=1)
            if number != cut_off:
                self._land(self.day, dict(rates_on(self.day)))
                continue
            body = NO_RESPONSE + b" " * len(self.cut)
            self.zone.put(f"raw/api-data/exchange_rates/{self.day:%Y/%m/%d}/USD.json", body)
            self.cut.append(body)

    def _land(self, day: date, rates: dict[str, float]) -> None:
        self.rates[day] = {name: round(rate, 5) for name, rate in rates.items()}
        land_rates(self.zone, day, self.rates[day])


class FlownAccounts:
    """Salesforce's accounts by AppFlow: each run of the flow lands files, the second of which has a bad row."""

    name = "AppFlow"
    table = ACCOUNTS
    small = (*ONE_BY_ONE, Constant("data_platform.connectors.landing.appflow:FIRST_LOOK", 0.01))
    flow = "accounts-daily"

    def __init__(self, server: AppFlowServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.begun = 0
        server.add(self.flow, self._run)

    def settings(self) -> Mapping[str, str]:
        routes = {
            "SALESFORCE_ROUTES": json.dumps({"accounts": "appflow"}),
            "APPFLOW_FLOWS": json.dumps({"accounts": self.flow}),
        }
        return self.server.settings() | self.zone.settings() | routes

    def begin(self) -> None:
        self.begun += 1
        self.zone = LandingFolder(self.folder / str(self.begun))
        self.day = FIRST_DAY
        self.rows: dict[str, Row] = {}
        self.started_before = len(self.server.started)
        self.bad: list[bytes] = []
        self.landed = 0
        self._change_rows()

    def change(self, note: Note) -> None:
        self._change_rows()

    def records(self) -> Mapping[Key, Row]:
        return {(key,): row for key, row in self.rows.items()}

    def undecodable(self) -> Sequence[bytes]:
        return self.bad

    def _change_rows(self) -> None:
        """Every account is another than it was, a day later."""
        self.day += timedelta(days=1)
        changed = datetime(self.day.year, self.day.month, self.day.day, 6, tzinfo=UTC)
        for number in range(3 * ROWS_PER_FILE):
            key = f"{number:018d}"
            self.rows[key] = {"Id": key, "Name": f"Account {number} on {self.day}", "SystemModstamp": changed}
        self.bad.append(NO_ROW % len(self.bad))

    def _run(self) -> int:
        """What the flow moves when it runs: all that has changed since it ran last."""
        if self.landed == len(self.bad):
            return 0
        self.landed = len(self.bad)
        rows = list(self.rows.values())
        for number in range(3):
            some = rows[number * ROWS_PER_FILE : (number + 1) * ROWS_PER_FILE]
            body = csv_lines(some)
            self.zone.put(
                f"raw/salesforce/Account/{self.day:%Y/%m/%d}/part-{number}.csv",
                body + self.bad[-1] + b"\n" if number == 1 else body,
            )
        return len(rows)


class Files:
    """A landing zone of each: `with Files(folder) as files: …`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "Files":
        with ExitStack() as stack:
            self.rates = Rates(self.folder / "rates")
            flows = stack.enter_context(AppFlowServer())
            self.accounts = FlownAccounts(flows, self.folder / "accounts")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
