"""What people do in the company's app, by day: the truth behind CleverTap's profiles and events.

The same seed gives the same people and events.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from sandbox.world.company import EPOCH

# The share of people who do it on a day.
EVENTS = {"App Launched": 0.4, "Product Viewed": 0.3, "Charged": 0.05}
PRODUCTS = ("Lamp", "Chair", 'Desk "Oslo"', "Müsli bowl")


@dataclass
class EngagementWorld:
    """Events are stamped in the account's time zone, which is UTC here."""

    seed: int = 2026
    people: int = 100
    now: datetime = EPOCH

    def advance(self, days: int = 1) -> None:
        self.now += timedelta(days=days)

    def events(self, name: str, first: date, last: date) -> list[dict[str, Any]]:
        """The records of one event in these days."""
        return [record for day in _days(first, last) for record in self._day(name, day)]

    def profiles(self, name: str, first: date, last: date) -> list[dict[str, Any]]:
        """The people who did it in these days, as they are known now."""
        active = {person for day in _days(first, last) for person in self._who(name, day)}
        return [self._profile(person) for person in sorted(active)]

    def _who(self, name: str, day: date) -> list[int]:
        random = np.random.default_rng((self.seed, len(name), day.toordinal()))
        return np.flatnonzero(random.random(self.people) < EVENTS[name]).tolist()

    def _day(self, name: str, day: date) -> list[dict[str, Any]]:
        return [
            {
                "profile": self._person(person) | {"platform": "Web", "profileData": {"plan": "free"}},
                "ts": int((_midnight(day) + timedelta(seconds=person * 7 % 86_400)).strftime("%Y%m%d%H%M%S")),
                "event_props": {"Product": PRODUCTS[person % 4], "Amount": person / 4, "CT Source": "Web"},
                "session_props": {"utm_source": "news", "referrer": None},
            }
            for person in self._who(name, day)
        ]

    def _person(self, person: int) -> dict[str, Any]:
        return {
            "identity": f"C{person:07}",
            "name": f"Person {person}",
            "email": f"person{person}@example.com",
        }

    def _profile(self, person: int) -> dict[str, Any]:
        seen = [
            day
            for day in _days(self.now.date() - timedelta(days=30), self.now.date() - timedelta(days=1))
            if person in self._who("App Launched", day)
        ]
        times = [int(_midnight(day).timestamp()) for day in seen]
        summary = {"count": len(seen), "first_seen": times[:1], "last_seen": times[-1:]}
        return self._person(person) | {
            "phone": f"+4930{person:07}",
            "profileData": {"Last Score": person / 8, "plan": "free", "tags": ["a", person]},
            "events": {"App Launched": summary},
            "platformInfo": [{"platform": "iOS", "os_version": "17.1", "objectId": f"o{person}"}],
        }


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), EPOCH.tzinfo)
