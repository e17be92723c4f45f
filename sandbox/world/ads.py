"""Ads on two platforms: what each showed, brought and cost by day, as it is known on the world's today.

The same seed gives the same numbers. A platform restates a day for four weeks: some ads gain late clicks with each
day that passes, and with them cost. Faults are planted where `fault_of` says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from sandbox.world.company import EPOCH

RESTATED_FOR = 28
# The share of a day's ads that gain something each day that it is restated.
GAINING = 0.05
UNKNOWN_CURRENCY = "XXX"


@dataclass(frozen=True)
class AdAccount:
    id: str
    name: str
    currency: str
    time_zone: str


ACCOUNTS = {
    "facebook": (
        AdAccount("1001000001", "Europe", "EUR", "Europe/Berlin"),
        AdAccount("1001000002", "America", "USD", "America/New_York"),
    ),
    "google": (AdAccount("2001000001", "Search", "EUR", "Europe/Berlin"),),
}


@dataclass(frozen=True)
class AdDay:
    """One ad on one day. Spend is in the account's currency."""

    account: AdAccount
    campaign_id: str
    campaign_name: str
    group_id: str
    group_name: str
    ad_id: str
    ad_name: str
    day: date
    currency: str
    impressions: int
    clicks: int
    spend: Decimal


def fault_of(ad: int, day: date) -> str | None:
    """What is wrong with the ad of this number on this day."""
    return {(0, 3): "negative spend", (1, 5): "clicks above impressions", (2, 7): "unknown currency"}.get(
        (ad, day.toordinal() % 10)
    )


@dataclass
class AdWorld:
    """All ads of both platforms; `ads` is how many each account has."""

    seed: int = 2026
    ads: int = 40
    now: datetime = EPOCH
    # A row is gone, or has other values, because a test wants it so.
    vanished: set[tuple[str, str, date]] = field(default_factory=set)
    restated: dict[tuple[str, str, date], dict[str, Any]] = field(default_factory=dict)

    def advance(self, days: int = 1) -> None:
        self.now += timedelta(days=days)

    def account(self, platform: str, id_: str) -> AdAccount | None:
        return next((account for account in ACCOUNTS[platform] if account.id == id_), None)

    def rows(self, platform: str, account: AdAccount, first: date, last: date) -> list[AdDay]:
        """The truth of these days."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return [row for day in days for row in self._day(platform, account, day)]

    def planted(self, platform: str, first: date, last: date) -> dict[str, int]:
        """How often each fault is in these days."""
        counts: dict[str, int] = {}
        for _ in ACCOUNTS[platform]:
            for number in range((last - first).days + 1):
                for ad in range(min(self.ads, 3)):
                    if fault := fault_of(ad, first + timedelta(days=number)):
                        counts[fault] = counts.get(fault, 0) + 1
        return counts

    def _day(self, platform: str, account: AdAccount, day: date) -> Iterator[AdDay]:
        impressions, clicks, cents = self._numbers(platform, account, day)
        for ad in range(self.ads):
            row = self._row(account, ad, day, impressions[ad], clicks[ad], cents[ad])
            key = (platform, row["ad_id"], day)
            if key not in self.vanished:
                yield AdDay(**(row | self.restated.get(key, {})))

    def _row(
        self, account: AdAccount, ad: int, day: date, impressions: int, clicks: int, cents: int
    ) -> dict[str, Any]:
        fault = fault_of(ad, day)
        campaign, group = ad // 20, ad // 5
        return {
            "account": account,
            "campaign_id": f"{account.id}{campaign:04}",
            "campaign_name": f"{account.name} campaign {campaign}",
            "group_id": f"{account.id}{group:05}",
            "group_name": f"Group {group}, Zürich",
            "ad_id": f"{account.id}{ad:06}",
            "ad_name": f'Ad "{ad}", {account.name}',
            "day": day,
            "currency": UNKNOWN_CURRENCY if fault == "unknown currency" else account.currency,
            "impressions": impressions,
            "clicks": impressions + 1 if fault == "clicks above impressions" else clicks,
            "spend": Decimal(-cents - 1 if fault == "negative spend" else cents).scaleb(-2),
        }

    def _numbers(self, platform: str, account: AdAccount, day: date) -> Sequence[list[int]]:
        known = (self.seed, len(platform), int(account.id), day.toordinal())
        random = np.random.default_rng(known)
        impressions = random.integers(200, 20_000, self.ads)
        clicks = (impressions * random.random(self.ads) * 0.05).astype(np.int64)
        price = random.integers(10, 300, self.ads)
        for age in range(1, min((self.now.date() - day).days, RESTATED_FOR) + 1):
            clicks += np.random.default_rng((*known, age)).random(self.ads) < GAINING
        return impressions.tolist(), clicks.tolist(), (clicks * price).tolist()
