"""The subscriptions that the company's contacts hold in its application, with faults in known numbers.

Pure functions of a World: where the rows are kept, and what stamps their changes, is the database's affair.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from sandbox.world.company import World

Row = dict[str, Any]

PLANS = (("free", "0.00"), ("team", "49.90"), ("business", "199.00"), ("enterprise", "12500.05"))
STATUSES = ("active", "active", "active", "past_due", "cancelled")
CURRENCIES = ("EUR", "EUR", "USD", "GBP")
NOTES = (None, None, "Renews by invoice", "Discount agreed; see mail", "Kündigung angekündigt — 日本 🙂", "")
PER_CONTACT = 2
HISTORY = timedelta(days=730)
# What an application without strict mode writes where it has no date, and what no signed number holds.
NO_DATE, NO_MOMENT = "0000-00-00", "0000-00-00 00:00:00"
MOST_UNSIGNED = 2**64 - 1
# How many rows in a thousand carry a fault; never less than one row.
PER_THOUSAND = {
    "zero_date": 20,
    "zero_moment": 10,
    "seats_beyond_signed": 3,
    "trial_of_two": 3,
    "negative_price": 4,
    "unknown_plan": 3,
    "unknown_customer": 5,
    "beyond_any_date": 2,
}


@dataclass
class Subscriptions:
    """The rows by their id, and the ids of those with each fault. `until` is where their history ends."""

    world: World
    until: datetime
    rows: dict[int, Row] = field(default_factory=dict)
    planted: dict[str, list[int]] = field(default_factory=dict)
    day: int = 0

    def __post_init__(self) -> None:
        self.start(self.world.truth("contacts"), self.until - HISTORY, self.until, PER_CONTACT)
        self._plant()

    def start(self, contacts: Iterable[Row], since: datetime, until: datetime, each: int = 1) -> list[Row]:
        """New subscriptions of these contacts, begun between the two moments and changed since."""
        customers = [contact["Id"] for contact in contacts for _ in range(each)]
        first = max(self.rows, default=0) + 1
        random = self.world.random(300, first)
        span = int((until - since).total_seconds()) - 1
        begun = np.sort(random.integers(0, span, len(customers))).tolist()
        started = [
            _subscription(random, first + place, customer, since + timedelta(seconds=seconds), until)
            for place, (customer, seconds) in enumerate(zip(customers, begun, strict=True))
        ]
        self.rows |= {row["subscription_id"]: row for row in started}
        return started

    def pick(self, purpose: int, count: int) -> list[int]:
        """So many of the ids, by chance."""
        chosen = self.world.random(301, purpose).permutation(sorted(self.rows))[:count]
        return [int(each) for each in chosen]

    def _plant(self) -> None:
        """No row carries two faults: each is dealt from one shuffled pack."""
        pack = self.pick(0, len(self.rows))
        for fault, share in PER_THOUSAND.items():
            count = max(1, len(self.rows) * share // 1_000)
            self.planted[fault], pack = pack[:count], pack[count:]
            for each in self.planted[fault]:
                self.rows[each] |= _faulty(fault)


def _subscription(
    random: np.random.Generator, number: int, customer: str, started: datetime, until: datetime
) -> Row:
    plan, price = PLANS[int(random.integers(len(PLANS)))]
    status = STATUSES[int(random.integers(len(STATUSES)))]
    is_trial = bool(random.random() < 0.1)
    since = started + timedelta(seconds=random.random() ** 2 * (until - started).total_seconds())
    # Every fourth was last touched by a nightly job, which stamps thousands with one moment.
    changed = started.replace(hour=2, minute=0, second=0, microsecond=0) if number % 4 == 0 else since
    return {
        "subscription_id": number,
        "customer_id": customer,
        "plan": plan,
        "price": Decimal(price),
        "currency": CURRENCIES[int(random.integers(len(CURRENCIES)))],
        "status": status,
        "started_at": started,
        "ends_on": (started + timedelta(days=365)).date() if number % 3 else None,
        "cancelled_at": since.replace(microsecond=0) if status == "cancelled" else None,
        "is_trial": is_trial,
        "auto_renews": None if is_trial else bool(number % 2),
        "seats": int(random.integers(1, 500)),
        "usage_bytes": int(random.integers(0, 2**63)) * 2,
        "discount": round(float(random.random()), 4) if number % 5 == 0 else None,
        "preferences": json.dumps({"locale": "de" if number % 2 else "en", "beta": not number % 7}),
        "notes": NOTES[int(random.integers(len(NOTES)))],
        "updated_at": max(changed, started),
    }


def _faulty(fault: str) -> Row:
    match fault:
        case "zero_date":
            return {"ends_on": NO_DATE}
        case "zero_moment":
            return {"cancelled_at": NO_MOMENT}
        case "seats_beyond_signed":
            return {"seats": MOST_UNSIGNED}
        case "trial_of_two":
            return {"is_trial": 2}
        case "negative_price":
            return {"price": Decimal("-49.90")}
        case "unknown_plan":
            return {"plan": "platinum"}
        case "unknown_customer":
            return {"customer_id": "003UNKNOWN00000XXX"}
        case _:
            return {"ends_on": date(9999, 12, 31)}
