"""What the company's warehouse holds raw: products, orders and the money that moved for them, with known faults.

Customers are the CRM's contacts and one in thirty that it does not know. Orders that the company's events tell of are
here as they are told there, but for those that got lost on the way and those of another amount. Pure functions of a
World: where the rows are kept is the database's affair.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sandbox.world.company import World
from sandbox.world.events import Streams
from sandbox.world.products import category, how_many, prices, product_id

Row = dict[str, Any]
Table = Literal["product_catalog", "customer_orders", "financial_transactions"]

KEYS: dict[Table, str] = {
    "product_catalog": "product_id",
    "customer_orders": "order_id",
    "financial_transactions": "transaction_id",
}
STATUSES = ("placed", "shipped", "delivered", "delivered", "returned")
CURRENCIES = ("EUR", "EUR", "USD", "GBP")
ADJECTIVES = ("Small", "Large", "Blue", "Folding", "Élégant")
HISTORY = timedelta(days=730)
# Orders that nobody told an event of, a day, have numbers of their own.
FIRST_WITHOUT_EVENTS = 50_000_000
# Of the orders that events tell of, by their numbers: one in so many never comes to the warehouse, and one in so many
# is there with another amount than the customer was told.
LOST_ONE_IN, OTHER_AMOUNT_ONE_IN = 40, 50
# How many rows in a thousand carry a fault; never less than one row.
PER_THOUSAND: dict[Table, dict[str, int]] = {
    "product_catalog": {"price_of_zero": 10, "unknown_category": 20},
    "customer_orders": {"no_customer": 4, "negative_amount": 4, "order_before_2000": 2, "order_ahead": 2},
    "financial_transactions": {"journal_out_of_balance": 3, "unknown_currency": 3},
}


@dataclass
class Warehouse:
    """The rows of each table by their key, and the keys of those with each fault. `until` ends their history."""

    world: World
    until: datetime
    rows: dict[Table, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in KEYS})
    planted: dict[Table, dict[str, list[str]]] = field(default_factory=lambda: {name: {} for name in KEYS})
    # The orders that events tell of and that are not here, and those that are here with another amount.
    lost: list[str] = field(default_factory=list)
    of_other_amount: list[str] = field(default_factory=list)
    day: int = 0
    ordered: int = 0

    def __post_init__(self) -> None:
        contacts = [contact["Id"] for contact in self.world.truth("contacts")]
        self._put("product_catalog", self._products(how_many(len(contacts))))
        told = self._told(0)
        span = (self.until - HISTORY, self.until)
        silent = self._orders(list(enumerate(contacts)), *span)
        self._book([told.pop(row["order_id"], row) for row in silent if row["order_id"] not in self.lost])
        self._book(told.values())
        for table in KEYS:
            self._plant(table)

    def order(self, customers: Sequence[str], since: datetime, until: datetime) -> list[Row]:
        """A new order of each of these customers, and what the day's events tell of; returns the orders."""
        # A number is never given twice, though an order may be gone.
        first = FIRST_WITHOUT_EVENTS + self.ordered
        self.ordered += len(customers)
        orders = [
            *self._orders(list(enumerate(customers, start=first)), since, until),
            *self._told(self.day).values(),
        ]
        self._book(orders)
        return orders

    def _told(self, day: int) -> dict[str, Row]:
        """The orders that events tell of on that day, as the warehouse has them in the end."""
        found = {}
        for steps in Streams(self.world).orders(day):
            key = steps[0]["order_id"]
            number = int(key[2:])
            if number % LOST_ONE_IN == 0:
                self.lost.append(key)
                continue
            found[key] = self._as_told(steps)
            if number % OTHER_AMOUNT_ONE_IN == 1:
                found[key]["amount"] += Decimal("1.00")
                self.of_other_amount.append(key)
        return found

    def _as_told(self, steps: Sequence[Row]) -> Row:
        placed, last = steps[0], steps[-1]
        shipped = [step["event_time"] for step in steps if step["event_type"] == "shipped"]
        return {
            "order_id": placed["order_id"],
            "customer_id": placed["customer_id"],
            "product_id": placed["items"][0]["product_id"],
            "quantity": sum(item["quantity"] for item in placed["items"]),
            "amount": placed["amount"],
            "currency": placed["currency"],
            # It knows no status between.
            "status": last["event_type"] if last["event_type"] in STATUSES else "placed",
            "order_date": placed["event_time"].date(),
            "shipped_at": shipped[0] if shipped else None,
            "updated_at": self.until - timedelta(hours=1),
        }

    def _book(self, orders: Iterable[Row]) -> None:
        """The orders, and the money that moved for them."""
        for order in orders:
            self._put("customer_orders", [order])
            self._put("financial_transactions", _booked(order))

    def _put(self, table: Table, rows: Iterable[Row]) -> None:
        self.rows[table] |= {row[KEYS[table]]: row for row in rows}

    def _products(self, count: int) -> Iterator[Row]:
        random = self.world.random(505)
        for number, price in enumerate(prices(self.world, count)):
            yield {
                "product_id": product_id(number),
                "product_name": f"{ADJECTIVES[number % len(ADJECTIVES)]} thing {number}",
                "category": category(number),
                "price": price,
                "attributes": None if number % 4 else '{"colour":"blue","sizes":[1,2]}',
                "is_active": number % 9 != 0,
                "updated_at": self.until - timedelta(seconds=int(random.integers(3_600, 86_400 * 700))),
            }

    def _orders(self, numbered: Sequence[tuple[int, str]], since: datetime, until: datetime) -> Iterator[Row]:
        """An order of each customer under its number, of which no event tells."""
        random = self.world.random(501, numbered[0][0])
        products = sorted(self.rows["product_catalog"])
        span = int((until - since).total_seconds()) - 1
        # The database's clock is ahead of the company's.
        ahead = self.until - self.world.now + timedelta(days=self.world.day - self.day)
        for number, customer in numbered:
            ordered = since + timedelta(seconds=int(random.integers(0, span)))
            product = self.rows["product_catalog"][products[int(random.integers(len(products)))]]
            quantity = int(random.integers(1, 6))
            # A nightly job stamps all orders of a day with one moment.
            stamped = ordered.replace(hour=23, minute=0, second=0, microsecond=0) if number % 3 else ordered
            yield {
                "order_id": f"O-{number:08d}",
                "customer_id": customer if number % 30 else f"W-{number:06d}",
                "product_id": product["product_id"],
                "quantity": quantity,
                "amount": product["price"] * quantity,
                "currency": CURRENCIES[number % len(CURRENCIES)],
                "status": STATUSES[int(random.integers(len(STATUSES)))],
                "order_date": (ordered - ahead).date(),
                "shipped_at": None if number % 5 == 0 else min(until, ordered + timedelta(days=2)) - ahead,
                "updated_at": min(until - timedelta(minutes=1), stamped),
            }

    def _plant(self, table: Table) -> None:
        """No row carries two faults: each is dealt from one shuffled pack."""
        keys = sorted(self.rows[table])
        pack = [keys[place] for place in self.world.random(502, len(table)).permutation(len(keys))]
        for fault, share in PER_THOUSAND[table].items():
            count = max(1, len(keys) * share // 1_000)
            self.planted[table][fault], pack = pack[:count], pack[count:]
            for key in self.planted[table][fault]:
                self.rows[table][key] |= _faulty(fault, self.rows[table][key])


def _booked(order: Row) -> Iterator[Row]:
    """Two lines of one journal: what the customer owes, and what we have sold."""
    for number, account in enumerate(("receivables", "sales")):
        yield {
            "transaction_id": f"T-{order['order_id'][2:]}-{number}",
            "journal_id": f"J-{order['order_id'][2:]}",
            "order_id": order["order_id"],
            "account": account,
            "debit": order["amount"] if number == 0 else Decimal("0.00"),
            "credit": order["amount"] if number == 1 else Decimal("0.00"),
            "currency": order["currency"],
            "booked_on": order["order_date"],
            "updated_at": order["updated_at"],
        }


def _faulty(fault: str, row: Row) -> Row:
    match fault:
        case "price_of_zero":
            return {"price": Decimal("0.00")}
        case "unknown_category":
            return {"category": "Miscellaneous"}
        case "no_customer":
            return {"customer_id": None}
        case "negative_amount":
            return {"amount": Decimal("-1.50")}
        case "order_before_2000":
            return {"order_date": date(1970, 1, 1)}
        case "order_ahead":
            return {"order_date": date(2099, 12, 31)}
        case "unknown_currency":
            return {"currency": "XXX"}
        case _:
            return {"debit": row["debit"] + Decimal("0.01")}
