"""The Facebook Ads connector: the insights of each account's ads, day by day.

An asynchronous report run is asked for some days, followed until it is computed, and paged through.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cached_property

import msgspec
import pyarrow as pa

from data_platform.connectors.base import CredentialsRefused, Landed, Offer, ReadAgain
from data_platform.connectors.facebook.graph import Graph
from data_platform.connectors.http import Unreadable, header_date
from data_platform.connectors.json_pages import JsonPages, said_beside_records
from data_platform.connectors.pages import read_pages
from data_platform.connectors.records import bronze_rows
from data_platform.connectors.windows import Account, Days, WindowedLoad, yesterday
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

PAGE_ROWS = 5_000
# Facebook writes every number of an insight in quotes.
QUOTED = ("bigint", "decimal", "double")


class _Cursors(msgspec.Struct):
    after: str = ""


class _Paging(msgspec.Struct):
    cursors: _Cursors = msgspec.field(default_factory=_Cursors)
    next: str | None = None


class _Page(msgspec.Struct):
    paging: _Paging | msgspec.UnsetType = msgspec.UNSET


_PAGE = msgspec.json.Decoder(_Page)


class _Run(msgspec.Struct):
    async_status: str
    async_percent_completion: int = 0


class _AdAccount(msgspec.Struct):
    timezone_name: str
    currency: str


class Facebook:
    """Reads ad insights (`connectors.base.Connector` and `Windowed`)."""

    def __init__(self, settings: Settings) -> None:
        self._history = settings.window_history
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return self._load(table, landed, None).offer()

    def offer_days(self, table: SourceTable, landed: Landed, days: tuple[date, date]) -> Offer:
        return self._load(table, landed, days).offer()

    def _load(self, table: SourceTable, landed: Landed, days: tuple[date, date] | None) -> WindowedLoad:
        insights = _Insights(self._graph, table)
        return WindowedLoad(table, landed, self._accounts(), self._history, insights.read, asked=days)

    @cached_property
    def _graph(self) -> Graph:
        return Graph(self._settings)

    def _accounts(self) -> list[Account]:
        named = (self._settings.facebook_ads_account_id or "").split(",")
        ids = [each.strip().removeprefix("act_") for each in named if each.strip()]
        if not ids:
            raise CredentialsRefused(
                "Facebook can't be asked: FACEBOOK_ADS_ACCOUNT_ID is not set. Set it to the ad account's number, or "
                "to several with commas between"
            )
        return [self._account(each) for each in ids]

    def _account(self, account: str) -> Account:
        answer = self._graph.get(f"act_{account}", fields="account_id,currency,timezone_name")
        found = msgspec.json.decode(answer.content, type=_AdAccount)
        now = header_date(answer.headers.get("Date", "")) or datetime.now(UTC)
        return Account(account, yesterday(now, found.timezone_name, f"account act_{account}"), "account_id")


class _Insights:
    """The rows of one table's reports."""

    def __init__(self, graph: Graph, table: SourceTable) -> None:
        self._graph = graph
        self._table = table
        # Only what is asked for comes, and the last day of a row beside it, which is its first.
        self._pages = JsonPages(
            table.columns, under="data", undeclared=(), ignored=("date_stop",), as_text=QUOTED
        )
        # The days of a row come without being asked for.
        self._fields = ",".join(
            column.name for column in table.columns if column.name not in ("date_start", "date_stop")
        )

    def read(self, account: Account, days: Days) -> Iterator[pa.RecordBatch]:
        run = self._computed(account, days)
        origin = f"act_{account.id} {self._table.reads} {days.first} to {days.last}"
        for rows in read_pages("Facebook", self._bodies(run), self._pages.read):
            yield bronze_rows(self._table, rows, op="upsert", origin=origin)

    def _computed(self, account: Account, days: Days) -> str:
        """The report run, once Facebook has computed it."""
        asked = self._graph.post(
            f"act_{account.id}/{self._table.reads}",
            level="ad",
            time_increment="1",
            time_range=json.dumps({"since": days.first.isoformat(), "until": days.last.isoformat()}),
            fields=self._fields,
        )
        run = msgspec.json.decode(asked.content, type=dict[str, str])["report_run_id"]
        for _ in self._graph.patience.looks(f"report run {run} is being computed"):
            state = msgspec.json.decode(self._graph.get(run).content, type=_Run)
            if state.async_status == "Job Completed" and state.async_percent_completion == 100:
                break
            if state.async_status in ("Job Failed", "Job Skipped"):
                raise ReadAgain(
                    f"Facebook's report of act_{account.id} from {days.first} to {days.last} ended as "
                    f"{state.async_status!r} at {state.async_percent_completion} %"
                )
        return run

    def _bodies(self, run: str) -> Iterator[bytes]:
        after: dict[str, str] = {}
        while True:
            body = self._graph.get(f"{run}/insights", limit=PAGE_ROWS, **after).content
            yield body
            try:
                said = said_beside_records(body, _PAGE, lambda page: page.paging is not msgspec.UNSET)
            except msgspec.DecodeError:
                raise Unreadable("its answer was no page with cursors") from None
            if said.paging is msgspec.UNSET or not said.paging.next:
                return
            after = {"after": said.paging.cursors.after}
