"""The company's streams: what is sent to each topic on each day, with faults in known numbers.

Visitors and card holders are the CRM's contacts; products cost what the catalogue says, and of what happens to orders
here the warehouse and the shop make their own rows. Pure functions of a World and a day, so that who asks again is told
the same: where the messages are kept is the broker's affair.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from sandbox.world.company import EPOCH, World
from sandbox.world.event_kinds import (
    MERCHANTS,
    Row,
    Span,
    card_transactions,
    card_use,
    inventory_updates,
    order_events,
    user_events,
)
from sandbox.world.products import how_many, prices

Topic = Literal["user_events", "order_events", "inventory_updates", "card_transactions"]

PARTITIONS: dict[Topic, int] = {
    "user_events": 12,
    "order_events": 8,
    "inventory_updates": 6,
    "card_transactions": 6,
}
_MADE_BY: dict[Topic, Callable[[Span, int], Iterator[Row]]] = {
    "user_events": user_events,
    "order_events": order_events,
    "inventory_updates": inventory_updates,
    "card_transactions": card_transactions,
}
# The values of these are Avro; the second of their schemas is written from the middle of the first day on.
AVRO: tuple[Topic, ...] = ("order_events", "card_transactions")
NEW_IN_SECOND_SCHEMA: dict[Topic, str] = {"order_events": "sales_channel", "card_transactions": "wallet"}
# How many messages there are for each thousand contacts: at first, of a week, and then each day.
FIRST: dict[Topic, int] = {
    "user_events": 1_000,
    "order_events": 400,
    "inventory_updates": 300,
    "card_transactions": 500,
}
EACH_DAY = 0.2
FEWEST = 60
WEEK = timedelta(days=7)
# How many messages in a thousand carry a fault; never less than one.
PER_THOUSAND: dict[Topic, dict[str, int]] = {
    "user_events": {"undeclared_field": 5, "wrong_type": 4, "unknown_type": 4},
    "order_events": {"negative_amount": 5, "no_customer": 4},
    "inventory_updates": {"unknown_category": 8, "wrong_type": 4, "undeclared_field": 4},
    "card_transactions": {"negative_amount": 4, "unknown_currency": 4},
}
EVERYWHERE = {"late": 8, "duplicate": 10, "corrected": 6, "taken_back": 5, "poison": 6, "out_of_order": 20}
# How a value can be spoiled so that nobody can read it.
POISONS = ("cut_off", "no_text", "no_record", "unknown_schema")


@dataclass(frozen=True)
class Message:
    """One message. `row` is what its value says in the declared columns (None: it has no value), `besides` what else
    or instead is in it; a poisoned one says in vain what it would have said."""

    topic: Topic
    key: str
    row: Row | None
    besides: Row = field(default_factory=dict)
    version: int = 1
    poison: str = ""
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def partition(self) -> int:
        return zlib.crc32(self.key.encode()) % PARTITIONS[self.topic]


@dataclass
class Streams:
    """All topics of one company."""

    world: World

    def __post_init__(self) -> None:
        # Those of the first day: they are the same on every later one.
        self.customers = self.world.tables["contacts"].ids[: self.world.sizes.contacts]
        self.prices = prices(self.world, how_many(len(self.customers)))

    def messages(self, topic: Topic, day: int) -> list[Message]:
        """What is sent on that day, in this order."""
        return _Day(self, topic, day).messages

    def planted(self, topic: Topic, day: int) -> dict[str, list[str]]:
        """The keys of that day's messages with each fault."""
        return _Day(self, topic, day).planted

    def orders(self, day: int) -> list[list[Row]]:
        """Each order that is placed on that day: its steps as they happen, whatever becomes of their messages."""
        steps: dict[str, list[Row]] = {}
        for row in _Day(self, "order_events", day).rows:
            steps.setdefault(row["order_id"], []).append(row)
        return [steps[order] for order in sorted(steps)]

    def how_many(self, topic: Topic, day: int) -> int:
        """The messages of a day, but for what goes wrong with them."""
        first = max(FEWEST, len(self.customers) * FIRST[topic] // 1_000)
        return max(FEWEST, round(first * EACH_DAY)) if day else first

    def ordered_before(self, day: int) -> int:
        """The number of a day's first order: at first the newest of an order for each customer, then new ones."""
        first = self.how_many("order_events", 0)
        if day == 0:
            return max(0, len(self.customers) - first)
        # As many numbers as there are messages, since no day has more orders than that.
        return max(len(self.customers), first) + (day - 1) * self.how_many("order_events", day)

    def until(self, topic: Topic, day: int) -> list[Message]:
        """What has been sent up to the end of that day."""
        return [message for each in range(day + 1) for message in self.messages(topic, each)]


class _Day:
    """The messages of a topic on a day: made in order, and then spoiled."""

    def __init__(self, streams: Streams, topic: Topic, day: int) -> None:
        self.topic, self.day = topic, day
        purpose = 600 + list(PARTITIONS).index(topic)
        self.random = streams.world.random(purpose, day)
        self.count = streams.how_many(topic, day)
        until = EPOCH + timedelta(days=day)
        self.span = Span(
            since=until - (timedelta(days=1) if day else WEEK),
            until=until,
            customers=streams.customers,
            prices=streams.prices,
            random=self.random,
            ordered=streams.ordered_before(day),
        )
        self.planted: dict[str, list[str]] = {}
        self.rows = self._rows()
        self.messages = self._sent(self.rows)
        self._disorder()

    def _rows(self) -> list[Row]:
        rows = list(_MADE_BY[self.topic](self.span, self.count))
        if self.topic == "card_transactions":
            rows += self._frauds()
        rows.sort(key=lambda row: (row["event_time"], row["event_id"]))
        return rows

    def _frauds(self) -> Iterator[Row]:
        """What a thief does: tries a card with small amounts, or uses it where its holder can't be."""
        for number in range(max(1, self.count // 400)):
            thief, moment = self.span.pick(len(self.span.customers)), self.span.moment()
            tried = [
                card_use(self.span, thief, moment + timedelta(seconds=20 * place), MERCHANTS[2])
                | {"amount": Decimal("1.00"), "billing_amount": Decimal("1.00"), "three_d_secure": "failed"}
                for place in range(6)
            ]
            here = card_use(self.span, (thief + 1) % len(self.span.customers), moment, MERCHANTS[0])
            away = card_use(self.span, thief, moment + timedelta(minutes=15), MERCHANTS[0])
            far = away | {"customer_id": here["customer_id"], "card_number": here["card_number"]}
            self._note("card_testing", [row["event_id"] for row in tried])
            self._note("far_away", [far["event_id"]])
            yield from (*tried, here, far) if number % 2 == 0 else (here, far, *tried)

    def _note(self, fault: str, keys: list[str]) -> None:
        self.planted.setdefault(fault, []).extend(keys)

    def _sent(self, rows: list[Row]) -> list[Message]:
        """Each row as a message, its fault in it. No message carries two: each is dealt from one shuffled pack."""
        self.pack: list[int] = self.random.permutation(len(rows)).tolist()
        frauds = {key for keys in self.planted.values() for key in keys}
        self.pack = [place for place in self.pack if rows[place]["event_id"] not in frauds]
        messages = [
            self._message(row, place >= len(rows) // 2 or self.day > 0) for place, row in enumerate(rows)
        ]
        for fault, share in (PER_THOUSAND[self.topic] | {"late": EVERYWHERE["late"]}).items():
            for place in self._dealt(fault, share, messages):
                messages[place] = _faulty(fault, messages[place])
        return messages

    def _message(self, row: Row, is_later: bool) -> Message:
        version = 2 if self.topic in AVRO and is_later else 1
        if self.topic in AVRO and version == 1:
            row = row | {NEW_IN_SECOND_SCHEMA[self.topic]: None}
        headers = (("source", b"sandbox"), ("trace", row["event_id"][:8].encode()))
        return Message(self.topic, row["event_id"], row, version=version, headers=headers)

    def _dealt(self, fault: str, share: int, messages: list[Message]) -> list[int]:
        count = max(1, len(messages) * share // 1_000)
        places, self.pack = self.pack[:count], self.pack[count:]
        self._note(fault, [messages[place].key for place in places])
        return places

    def _disorder(self) -> None:
        """What a producer and a network do to messages that are right in themselves."""
        kept = list(enumerate(self.messages))
        added: list[tuple[float, Message]] = []
        moved: dict[int, float] = {}
        for fault in ("duplicate", "corrected", "taken_back", "poison", "out_of_order"):
            for number, place in enumerate(self._dealt(fault, EVERYWHERE[fault], self.messages)):
                message, later = self.messages[place], place + 1.5 + self.span.pick(20)
                match fault:
                    case "duplicate":
                        added.append((later, message))
                    case "corrected":
                        added.append((later, _corrected(message)))
                    case "taken_back":
                        added.append((later, replace(message, row=None)))
                    case "poison":
                        kept[place] = (place, replace(message, poison=_poison(self.topic, number)))
                    case _:
                        moved[place] = later
        timed = [(moved.get(place, place), message) for place, message in kept]
        self.messages = [message for _, message in sorted([*timed, *added], key=lambda each: each[0])]


def _poison(topic: Topic, number: int) -> str:
    kinds = [kind for kind in POISONS if topic in AVRO or kind != "unknown_schema"]
    return kinds[number % len(kinds)]


def _faulty(fault: str, message: Message) -> Message:
    row: Any = message.row
    match fault:
        case "late":
            days = timedelta(days=3)
            return replace(message, row=row | {"event_time": row["event_time"] - days})
        case "undeclared_field":
            return replace(message, besides={"loyalty_tier": "gold", "beta": {"flags": [1, 2]}})
        case "wrong_type":
            name = "quantity_change" if "quantity_change" in row else "sequence"
            return replace(message, row=row | {name: None}, besides={name: "a few"})
        case "unknown_type":
            return replace(message, row=row | {"event_type": "mind_read"})
        case "unknown_category":
            return replace(message, row=row | {"category": "Miscellaneous"})
        case "unknown_currency":
            return replace(message, row=row | {"currency": "XXX"})
        case "no_customer":
            return replace(message, row=row | {"customer_id": None})
        case _:
            return replace(message, row=row | {"amount": Decimal("-12.50")})


def _corrected(message: Message) -> Message:
    """The same event told again, with another value: what is told last is true."""
    row: Any = message.row
    match message.topic:
        case "user_events":
            change: Row = {"is_bot": not row["is_bot"]}
        case "order_events":
            change = {"coupon_code": "CORRECTED"}
        case "inventory_updates":
            change = {"quantity_reserved": row["quantity_reserved"] + 1}
        case _:
            change = {"status": "reversed"}
    return replace(message, row=row | change)
