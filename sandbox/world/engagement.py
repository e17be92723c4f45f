"""What people do in the company's app, by day: the truth behind CleverTap's profiles and events.

The same seed gives the same people and events. Most are people of a company, each known in the way that `known` says;
without a company, or where it has no more people, they are nobody else's.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from sandbox.world import pools
from sandbox.world.company import EPOCH, World

# The share of people who do it on a day.
EVENTS = {"App Launched": 0.4, "Product Viewed": 0.3, "Charged": 0.05}
PRODUCTS = ("Lamp", "Chair", 'Desk "Oslo"', "Müsli bowl")
# How people are known to other systems, in turn: by the email of a contact, by the customer number, by an email in
# other letters, by the number while the email is another, by the email of a lead, by that of somebody whom the shop
# alone knows, not at all, and as somebody else who reads the contact's mailbox, or that of an office.
KNOWN = (
    *("email",) * 9,
    *("number",) * 4,
    *("other_case", "changed_email", "lead", "shop_alone", "alone", "family", "role"),
)


@dataclass
class EngagementWorld:
    """Events are stamped in the account's time zone, which is UTC here."""

    seed: int = 2026
    people: int = 100
    now: datetime = EPOCH
    company: World | None = None

    def advance(self, days: int = 1) -> None:
        self.now += timedelta(days=days)

    def events(self, name: str, first: date, last: date) -> list[dict[str, Any]]:
        """The records of one event in these days."""
        return [record for day in _days(first, last) for record in self._day(name, day)]

    def profiles(self, name: str, first: date, last: date) -> list[dict[str, Any]]:
        """The people who did it in these days, as they are known now."""
        active = {person for day in _days(first, last) for person in self._who(name, day)}
        return [self._profile(person) for person in sorted(active)]

    def known(self, person: int) -> str:
        """How the person is known to the company's other systems."""
        kind = KNOWN[person % len(KNOWN)]
        return kind if person < len(self._known_in("leads" if kind == "lead" else "contacts")) else "alone"

    def record(self, person: int) -> str:
        """The contact, or the lead, whom the person is or knows."""
        table = "leads" if self.known(person) == "lead" else "contacts"
        return self.company.tables[table].ids[self._known_in(table)[person]] if self.company else ""

    def _known_in(self, table: str) -> list[int]:
        return self.company.reachable[table] if self.company else []

    def _who(self, name: str, day: date) -> list[int]:
        random = np.random.default_rng((self.seed, len(name), day.toordinal()))
        return np.flatnonzero(random.random(self.people) < EVENTS[name]).tolist()

    def _day(self, name: str, day: date) -> list[dict[str, Any]]:
        return [
            {
                "profile": self.person(person) | {"platform": "Web", "profileData": {"plan": "free"}},
                "ts": int((_midnight(day) + timedelta(seconds=person * 7 % 86_400)).strftime("%Y%m%d%H%M%S")),
                "event_props": {"Product": PRODUCTS[person % 4], "Amount": person / 4, "CT Source": "Web"},
                "session_props": {"utm_source": "news", "referrer": None},
            }
            for person in self._who(name, day)
        ]

    def person(self, person: int) -> dict[str, Any]:
        kind, number = self.known(person), f"C{person:07}"
        if kind == "alone" or self.company is None:
            return {"identity": number, "name": f"Person {person}", "email": f"person{person}@example.com"}
        table = self.company.tables["leads" if kind == "lead" else "contacts"]
        place = table.place(self.record(person))
        # As it was on the first day: nobody tells CleverTap of another.
        email = self.company.moved_emails.get(table.ids[place], table.columns["Email"][place])
        known = {"identity": number, "name": table.columns["FirstName"][place], "email": email}
        match kind:
            case "number":
                return known | {"identity": table.ids[place]}
            case "changed_email":
                return known | {"identity": table.ids[place], "email": f"app{person}@phone.example"}
            case "other_case":
                return known | {"email": f" {email.swapcase()} "}
            case "shop_alone":
                return known | {"name": None, "email": f"guest{person}@shop.example"}
            case "family":
                return known | {"name": _other_name(known["name"])}
            case "role":
                return known | {"email": f"info@office{person // len(KNOWN)}.example"}
            case _:
                return known

    def _profile(self, person: int) -> dict[str, Any]:
        seen = [
            day
            for day in _days(self.now.date() - timedelta(days=30), self.now.date() - timedelta(days=1))
            if person in self._who("App Launched", day)
        ]
        times = [int(_midnight(day).timestamp()) for day in seen]
        summary = {"count": len(seen), "first_seen": times[:1], "last_seen": times[-1:]}
        return self.person(person) | {
            "phone": f"+4930{person:07}",
            "profileData": {"Last Score": person / 8, "plan": "free", "tags": ["a", person]},
            "events": {"App Launched": summary},
            "platformInfo": [{"platform": "iOS", "os_version": "17.1", "objectId": f"o{person}"}],
        }


def _other_name(name: str) -> str:
    return next(each for each in pools.FIRST_NAMES if each[0] != name[0])


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), EPOCH.tzinfo)
