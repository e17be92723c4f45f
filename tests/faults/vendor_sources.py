"""Tables of the vendors' APIs, for loads to be disturbed: what lets them come in many batches, and what is true of
them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from data_platform.sources.clevertap import CLEVERTAP_EVENTS, CLEVERTAP_PROFILES
from data_platform.sources.facebook import FACEBOOK_ADS
from data_platform.sources.google import GOOGLE_ADS
from sandbox.clevertap.server import CleverTapServer
from sandbox.facebook.server import FIELDS as FACEBOOK_FIELDS
from sandbox.facebook.server import FacebookServer
from sandbox.google_ads.server import FIELDS as GOOGLE_FIELDS
from sandbox.google_ads.server import GoogleAdsServer
from sandbox.world.ads import ACCOUNTS, AdDay, AdWorld
from sandbox.world.engagement import EVENTS, EngagementWorld
from tests.faults.launcher import Constant
from tests.faults.loads import Key, Note
from tests.faults.result import Row

ADS = 8
QUICK = (
    Constant("data_platform.connectors.http:FIRST_WAIT", 0.01),
    Constant("data_platform.connectors.patience:FIRST_LOOK", 0.01),
)


class AdDays:
    """An account's ads by day: what both platforms have in common.

    A first load reads as many days as are restated, so every load reads all of them.
    """

    def __init__(self, platform: str, world: AdWorld, restated: int) -> None:
        self.platform = platform
        self.world = world
        self.restated = restated
        self.accounts = ACCOUNTS[platform][:1]

    @property
    def yesterday(self) -> date:
        return self.world.now.date() - timedelta(days=1)

    def begin(self) -> None:
        self.first = self.yesterday - timedelta(days=self.restated - 1)

    def change(self, note: Note) -> None:
        """Every row that is read again is restated, but for a few that are gone."""
        read_again = [row for row in self.rows() if row.day > self.yesterday - timedelta(days=self.restated)]
        self.world.vanished |= {(self.platform, row.ad_id, row.day) for row in read_again[5:200:50]}
        for row in read_again:
            place = (self.platform, row.ad_id, row.day)
            self.world.restated[place] = {"impressions": row.impressions + 1_000}
        self.world.advance()

    def rows(self) -> list[AdDay]:
        return [
            row
            for account in self.accounts
            for row in self.world.rows(self.platform, account, self.first, self.yesterday)
        ]


class FacebookAds:
    """An account's ads on Facebook."""

    name = "Facebook"
    table = FACEBOOK_ADS
    # A slice of seven days has two pages.
    small = (
        *QUICK,
        Constant("data_platform.connectors.facebook.connector:PAGE_ROWS", 40),
        Constant("data_platform.connectors.facebook.graph:MINUTE", 0.02),
    )

    def __init__(self, server: FacebookServer) -> None:
        self.server = server
        self.days = AdDays("facebook", server.world, restated=28)
        self.begin, self.change = self.days.begin, self.days.change

    def settings(self) -> Mapping[str, str]:
        accounts = ",".join(account.id for account in self.days.accounts)
        return self.server.settings() | {"FACEBOOK_ADS_ACCOUNT_ID": accounts, "WINDOW_HISTORY": "P1D"}

    def records(self) -> Mapping[Key, Row]:
        return {(row.ad_id, row.day): _on_facebook(row) for row in self.days.rows()}

    def undecodable(self) -> Sequence[bytes]:
        return ()


def _on_facebook(row: AdDay) -> Row:
    said: dict[str, Any] = {name: value(row) for name, value in FACEBOOK_FIELDS.items()}
    numbers = {"impressions": row.impressions, "clicks": row.clicks, "spend": row.spend}
    return (
        said
        | numbers
        | {
            "reach": row.impressions // 2,
            "inline_link_clicks": row.clicks // 2,
            "date_start": row.day,
        }
    )


class GoogleAdsOfOne:
    """A customer's ads on Google."""

    name = "Google Ads"
    table = GOOGLE_ADS
    small = QUICK

    def __init__(self, server: GoogleAdsServer) -> None:
        self.server = server
        self.days = AdDays("google", server.world, restated=30)
        self.begin, self.change = self.days.begin, self.days.change

    def settings(self) -> Mapping[str, str]:
        return self.server.settings() | {"WINDOW_HISTORY": "P1D"}

    def records(self) -> Mapping[Key, Row]:
        return {(row.ad_id, row.day): _on_google(row) for row in self.days.rows()}

    def undecodable(self) -> Sequence[bytes]:
        return ()


def _on_google(row: AdDay) -> Row:
    said: dict[str, Any] = {name: value(row) for name, value in GOOGLE_FIELDS.items()}
    return said | {
        "metrics.impressions": row.impressions,
        "metrics.clicks": row.clicks,
        "metrics.cost_micros": int(row.spend * Decimal(1_000_000)),
        "segments.date": row.day,
    }


class AppEvents:
    """What people did in the app, in CleverTap."""

    name = "CleverTap"
    table = CLEVERTAP_EVENTS
    small = (*QUICK, Constant("data_platform.connectors.clevertap.api:PAGE_ROWS", 40))
    HISTORY = 10
    RESTATED = 3

    def __init__(self, server: CleverTapServer) -> None:
        self.server = server
        self.world = server.world
        # From which day on the events were corrected, once for each time.
        self.corrected_from: list[date] = []
        # From which day on events have been read since a field was renamed.
        self.renamed_from = date.max
        server.shape = self._as_written

    def settings(self) -> Mapping[str, str]:
        return self.server.settings() | {"WINDOW_HISTORY": f"P{self.HISTORY}D"}

    @property
    def yesterday(self) -> date:
        return self.world.now.date() - timedelta(days=1)

    def begin(self) -> None:
        self.first = self.yesterday - timedelta(days=self.HISTORY - 1)
        self.renamed_from = date.max

    def change(self, note: Note) -> None:
        """Every event of the days that are read again is another."""
        self.corrected_from.append(self._read_again_from)
        self.world.advance()

    def rename(self) -> None:
        """The API has another name for the session's properties."""
        self.renamed_from = self._read_again_from

    def records(self) -> Mapping[Key, Row]:
        return {
            (record["profile"]["identity"], name, record["ts"]): self._landed(name, record)
            for name in EVENTS
            for record in self.world.events(name, self.first, self.yesterday)
        }

    def undecodable(self) -> Sequence[bytes]:
        return ()

    @property
    def _read_again_from(self) -> date:
        """The first day that is read again by the load after the next day."""
        return self.yesterday - timedelta(days=self.RESTATED - 1)

    def _session(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"corrected": sum(day <= _moment(record).date() for day in self.corrected_from)}

    def _as_written(self, record: dict[str, Any]) -> dict[str, Any]:
        if "ts" not in record:
            return record
        if self.renamed_from == date.max:
            return record | {"session_props": self._session(record)}
        others = {name: value for name, value in record.items() if name != "session_props"}
        return others | {"sessionProps": self._session(record)}

    def _landed(self, name: str, record: dict[str, Any]) -> Row:
        moment, session = _moment(record), self._session(record)
        row = record | {"event": name, "occurred_at": moment, "day": moment.date()}
        if moment.date() < self.renamed_from:
            return row | {"session_props": session}
        return row | {"session_props": None, "_rescued": {"sessionProps": session}}


def _moment(record: Mapping[str, Any]) -> datetime:
    return datetime.strptime(f"{record['ts']}+0000", "%Y%m%d%H%M%S%z").astimezone(UTC)


class AppPeople:
    """Who uses the app, in CleverTap: the day of a row says when the person was last asked about, and no more."""

    name = "CleverTap's people"
    table = CLEVERTAP_PROFILES
    small = (*QUICK, Constant("data_platform.connectors.clevertap.api:PAGE_ROWS", 10))
    RESTATED = 3

    def __init__(self, server: CleverTapServer) -> None:
        self.server = server
        self.world = server.world

    def settings(self) -> Mapping[str, str]:
        return self.server.settings() | {"WINDOW_HISTORY": "P10D"}

    @property
    def yesterday(self) -> date:
        return self.world.now.date() - timedelta(days=1)

    def begin(self) -> None:
        self.known: dict[Key, Row] = {}
        self.asked_from = self.yesterday - timedelta(days=9)

    def change(self, note: Note) -> None:
        """A day on, each person's summary is another."""
        self.asked_from = self.yesterday - timedelta(days=self.RESTATED - 1)
        self.world.advance()

    def records(self) -> Mapping[Key, Row]:
        """Who was not asked about since is known as before."""
        people = self.world.profiles("App Launched", self.asked_from, self.yesterday)
        self.known |= {(person["identity"],): person for person in people}
        return self.known

    def undecodable(self) -> Sequence[bytes]:
        return ()


class Vendors:
    """The three vendors, each for all that is done to it: `with Vendors() as vendors: …`."""

    def __enter__(self) -> "Vendors":
        with ExitStack() as stack:
            self.facebook = FacebookAds(stack.enter_context(FacebookServer(AdWorld(ads=ADS))))
            self.google = GoogleAdsOfOne(stack.enter_context(GoogleAdsServer(AdWorld(ads=ADS), batch=40)))
            clevertap = stack.enter_context(CleverTapServer(EngagementWorld(people=60)))
            self.clevertap, self.people = AppEvents(clevertap), AppPeople(clevertap)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
