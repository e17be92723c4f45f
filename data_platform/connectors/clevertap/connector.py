"""The CleverTap connector: profiles and events by its cursor downloads.

`reads` names the download and its events as the API does: `events.json?event_name=Charged`. Which event a record
is about is said by the question, and which day by its `ts`, so both become columns here.
"""

from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.base import Landed, Offer
from data_platform.connectors.clevertap.api import Api
from data_platform.connectors.json_pages import JsonPages
from data_platform.connectors.pages import read_pages
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.connectors.shape import SeenShape
from data_platform.connectors.windows import Account, Days, WindowedLoad, yesterday
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

# Columns that no record holds.
ADDED = ("event", "occurred_at", "day")


class CleverTap:
    """Reads profiles and events (`connectors.base.Connector` and `Windowed`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        return self._load(table, landed, None).offer()

    def offer_days(self, table: SourceTable, landed: Landed, days: tuple[date, date]) -> Offer:
        return self._load(table, landed, days).offer()

    @cached_property
    def _api(self) -> Api:
        return Api(self._settings)

    def _load(self, table: SourceTable, landed: Landed, days: tuple[date, date] | None) -> WindowedLoad:
        zone = self._settings.clevertap_time_zone
        download = _Download(self._api, table, zone)
        last = yesterday(self._api.now, zone, "CLEVERTAP_TIME_ZONE")
        return WindowedLoad(
            table,
            landed,
            [Account(self._api.account, last)],
            self._settings.window_history,
            download.read,
            # How many people there are CleverTap only estimates.
            count=download.count if download.is_of_events else None,
            asked=days,
            about_its_day=download.is_of_events,
            drift=download.shape.drift,
        )


class _Download:
    """The rows of one table."""

    def __init__(self, api: Api, table: SourceTable, zone: str) -> None:
        self._api = api
        self._table = table
        self._zone = zone
        asked = urlsplit(table.reads)
        self._what = asked.path
        self._events = parse_qs(asked.query).get("event_name", [])
        self.is_of_events = "event" in table.by_name
        columns = [column for column in table.columns if column.name not in ADDED]
        self.shape = SeenShape(columns)
        self._pages = JsonPages(
            columns, under="records", ignored=table.ignores, path=lambda name: tuple(name.split("."))
        )

    def count(self, _: Account, days: Days) -> int:
        return sum(self._api.count(self._what, _question(event, days)) for event in self._events)

    def read(self, account: Account, days: Days) -> Iterator[pa.RecordBatch]:
        """All events in one go: while the last page of one is read, the first of the next is asked for."""
        asked = f"{days.first} to {days.last}"

        def of_page(page: tuple[str, bytes]) -> pa.RecordBatch:
            event, body = page
            rows = self._pages.read(body)
            self.shape.heed(rows)
            origin = f"{account.id} {self._what} {event} {asked}"
            return bronze_rows(self._table, self._completed(rows, event, days), op="upsert", origin=origin)

        pages = (
            (event, body)
            for event in self._events
            for body in self._api.pages(self._what, _question(event, days))
        )
        yield from read_pages("CleverTap", pages, of_page)

    def _completed(self, rows: Rows, event: str, days: Days) -> Rows:
        if not self.is_of_events:
            return Rows({**rows.columns, "day": pa.repeat(days.last, len(rows))}, rows.rescued)
        local = pc.strptime(rows.columns["ts"].cast(pa.string()), "%Y%m%d%H%M%S", "us", error_is_null=True)
        moments = pc.assume_timezone(local, self._zone, ambiguous="earliest", nonexistent="earliest")
        added = {
            "event": pa.repeat(event, len(rows)),
            "occurred_at": moments.cast(pa.timestamp("us", "UTC")),
            # A record without a readable ts stays in the days that it was asked for.
            "day": pc.fill_null(local.cast(pa.date32()), days.first),
        }
        return Rows({**rows.columns, **added}, rows.rescued)


def _question(event: str, days: Days) -> dict[str, Any]:
    return {
        "event_name": event,
        "from": int(days.first.strftime("%Y%m%d")),
        "to": int(days.last.strftime("%Y%m%d")),
    }
