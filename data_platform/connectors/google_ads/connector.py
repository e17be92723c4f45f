"""The Google Ads connector: what each customer's ads did, day by day, by GAQL over REST's searchStream.

An answer is one JSON list of batches, each a page of rows. A list may end in an error instead of its last batch:
then nothing of it counts as read.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cached_property

import msgspec
import pyarrow as pa
import requests

from data_platform.connectors.base import CredentialsRefused, Landed, Offer, ReadAgain
from data_platform.connectors.google_ads.auth import GoogleAuth
from data_platform.connectors.google_ads.errors import error_of, give_way_to_its_delay, refusal
from data_platform.connectors.http import PatientSession, header_date
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.pages import read_pages
from data_platform.connectors.records import bronze_rows
from data_platform.connectors.windows import Account, Days, WindowedLoad, yesterday
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

# JSON has no 64-bit numbers, so Google writes them in quotes.
QUOTED = ("bigint",)
_NONE = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    """What tells a batch of rows from an error in its place, and from a batch of none."""

    results: msgspec.Raw = _NONE
    error: dict[str, object] | None = None


class _Customer(msgspec.Struct, rename="camel"):
    time_zone: str


class _CustomerRow(msgspec.Struct):
    customer: _Customer


class _CustomerBatch(msgspec.Struct):
    results: list[_CustomerRow] = []


class GoogleAds:
    """Reads ad reports (`connectors.base.Connector` and `Windowed`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return self._load(table, landed, None).offer()

    def offer_days(self, table: SourceTable, landed: Landed, days: tuple[date, date]) -> Offer:
        return self._load(table, landed, days).offer()

    def _load(self, table: SourceTable, landed: Landed, days: tuple[date, date] | None) -> WindowedLoad:
        report = _Report(self._customers, table)
        history = self._settings.window_history
        return WindowedLoad(table, landed, self._customers.accounts(), history, report.read, asked=days)

    @cached_property
    def _customers(self) -> "_Customers":
        return _Customers(self._settings)


class _Customers:
    """What this module asks of Google. Nothing is opened before the first question."""

    def __init__(self, settings: Settings) -> None:
        self._base_url = (settings.google_ads_base_url or "").rstrip("/")
        self._ids = [
            each.strip().replace("-", "")
            for each in (settings.google_ads_customer_id or "").split(",")
            if each.strip()
        ]
        if not self._base_url or not self._ids:
            raise CredentialsRefused(
                "Google Ads can't be asked: set GOOGLE_ADS_BASE_URL (https://googleads.googleapis.com/v21) and "
                "GOOGLE_ADS_CUSTOMER_ID (several with commas between), or start the sandbox"
            )
        self._session = PatientSession(
            "Google Ads",
            retries=settings.http_retries,
            timeout=settings.http_timeout,
            on_answer=give_way_to_its_delay,
        )
        self._session.auth = GoogleAuth(settings)

    def accounts(self) -> list[Account]:
        return [self._account(customer) for customer in self._ids]

    def ask(self, customer: str, gaql: str) -> requests.Response:
        path = f"customers/{customer}/googleAds:searchStream"
        answer = self._session.post(f"{self._base_url}/{path}", json={"query": gaql})
        error = error_of(answer)
        if error is not None:
            raise refusal(error, answer.status_code, path)
        return answer

    def _account(self, customer: str) -> Account:
        answer = self.ask(customer, "SELECT customer.id, customer.time_zone FROM customer")
        found = msgspec.json.decode(answer.content, type=list[_CustomerBatch])
        zones = [row.customer.time_zone for batch in found for row in batch.results]
        now = header_date(answer.headers.get("Date", "")) or datetime.now(UTC)
        return Account(
            customer, yesterday(now, zones[0] if zones else "", f"customer {customer}"), "customer.id"
        )


class _Report:
    """The rows of one table's reports."""

    def __init__(self, customers: _Customers, table: SourceTable) -> None:
        self._customers = customers
        self._table = table
        # Only what is asked for comes, beside the resources' own names.
        self._pages = JsonPages(table.columns, under="results", undeclared=(), path=_path, as_text=QUOTED)

    def read(self, account: Account, days: Days) -> Iterator[pa.RecordBatch]:
        origin = f"customer {account.id} {self._table.reads} {days.first} to {days.last}"
        for rows in read_pages("Google Ads", self._batches(account, days), self._pages.read):
            yield bronze_rows(self._table, rows, op="upsert", origin=origin)

    def _batches(self, account: Account, days: Days) -> Iterator[bytes]:
        fields = ", ".join(column.name for column in self._table.columns)
        gaql = (
            f"SELECT {fields} FROM {self._table.reads} "
            f"WHERE segments.date BETWEEN '{days.first}' AND '{days.last}'"
        )
        answer = self._customers.ask(account.id, gaql)
        try:
            batches = msgspec.json.decode(answer.content, type=list[msgspec.Raw])
            told = [msgspec.json.decode(batch, type=_Batch) for batch in batches]
        except msgspec.DecodeError:
            raise ReadAgain(f"Google Ads gave no whole list of batches for customer {account.id}") from None
        for batch in told:
            if batch.error is not None:
                raise refusal(dict(batch.error), answer.status_code, f"the rest of customer {account.id}")
        yield from (bytes(batch) for batch, said in zip(batches, told, strict=True) if said.results != _NONE)


def _path(name: str) -> tuple[str, ...]:
    """Where JSON has a field of GAQL: `ad_group_ad.ad.id` is adGroupAd, ad, id."""
    return tuple(re.sub(r"_([a-z])", lambda found: found[1].upper(), part) for part in name.split("."))
