"""The shop's customers and their payments, with faults in known numbers.

Customers have the Id and the email of their contact in the CRM, but for a few who are known to the shop alone. Orders
that the company's events call paid are paid here, under the number that they name, but for a few.
Pure functions of a World: where the rows are kept is the database's affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sandbox.world.company import World
from sandbox.world.events import Streams

Row = dict[str, Any]
Table = Literal["customers", "payments"]

KEYS: dict[Table, str] = {"customers": "customer_id", "payments": "payment_id"}
TIERS = ("free", "free", "free", "plus", "business")
UNKNOWN_TIER = "gold"
METHODS = ("card", "card", "card", "transfer", "wallet")
CURRENCIES = ("EUR", "EUR", "EUR", "USD", "GBP", "JPY")
INTERESTS = ("garden", "cooking", 'so-called "art"', "back\\slash", "a, b and {c}", "NULL", "größer", "")
# Long enough that PostgreSQL keeps it outside of the row, and no change of another column writes it again.
LONG_NOTE = 6_000
PAYMENTS_PER_CUSTOMER = 3
SHOP_ALONE_PER_THOUSAND = 50
# Of the orders' payments, by their numbers: one in so many never comes, and one in so many is short of a unit.
UNPAID_ONE_IN, SHORT_ONE_IN = 25, 60
# How many customers, or payments, in a thousand carry a fault; never less than one.
PER_THOUSAND: dict[Table, dict[str, int]] = {
    "customers": {
        "bad_email": 4,
        "other_case_email": 20,
        "endless_birth": 3,
        "balance_of_no_number": 3,
        "balance_too_fine": 3,
        "unknown_tier": 4,
        "spaced_email": 10,
    },
    "payments": {"negative_amount": 4, "unknown_currency": 3, "no_customer": 3, "endless_payment": 2},
}
CHANGED, ADDED, DELETED = 40, 20, 5  # in a thousand, each day


class Unheld(str):
    """A value that the database holds and no type of the lake does, as the database writes it."""


@dataclass(frozen=True)
class Happened:
    """One change: the row afterwards (None: it is deleted), and the key that it had before (None: it is new)."""

    table: Table
    key: Any
    row: Row | None


@dataclass
class Shop:
    """The rows by their key, as they are now, and the keys of those with each fault."""

    world: World
    rows: dict[Table, dict[Any, Row]] = field(default_factory=lambda: {"customers": {}, "payments": {}})
    planted: dict[Table, dict[str, list[Any]]] = field(
        default_factory=lambda: {"customers": {}, "payments": {}}
    )
    day: int = 0
    # The Id that a customer had before the one of today.
    renamed: dict[str, str] = field(default_factory=dict)
    numbered: int = 0
    # The payments that events name and that are not here, and those of too little.
    unpaid: list[int] = field(default_factory=list)
    short: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begun = self.world.now
        contacts = [row for row in self.world.truth("contacts") if not row["IsDeleted"]]
        for number, contact in enumerate(contacts):
            self._put("customers", self._customer(number, contact))
        for customer in list(self.rows["customers"]):
            for _ in range(PAYMENTS_PER_CUSTOMER):
                self._put("payments", self._payment(customer, self.begun - timedelta(hours=2)))
        for payment in self._of_orders():
            self._put("payments", payment)
        self._plant("customers")
        self._plant("payments")

    def live_a_day(self) -> Iterator[list[Happened]]:
        """The transactions of a day: customers come, change, take another Id and go; payments come and are settled."""
        self.day += 1
        now = self.begun + timedelta(days=self.day)
        customers, payments = list(self.rows["customers"]), list(self.rows["payments"])
        random = self.world.random(400, self.day)
        share = len(customers)
        chosen: list[int] = random.permutation(share)[
            : max(4, share * (CHANGED + DELETED + 5) // 1_000)
        ].tolist()
        gone = chosen[: max(1, share * DELETED // 1_000)]
        renamed = chosen[len(gone) : len(gone) + max(1, share * 5 // 1_000)]
        for place in chosen[len(gone) + len(renamed) :]:
            row = self.rows["customers"][customers[place]]
            yield [self._change("customers", row, updated_at=now, is_active=not row["is_active"])]
        for number, place in enumerate(renamed):
            row = self.rows["customers"][customers[place]]
            self.renamed[f"moved-{self.day}-{number}"] = customers[place]
            yield [self._change("customers", row, updated_at=now, customer_id=f"moved-{self.day}-{number}")]
        for place in gone:
            key = customers[place]
            del self.rows["customers"][key]
            yield [Happened("customers", key, None)]
        for _ in range(max(1, share * ADDED // 1_000)):
            payer = customers[int(random.integers(0, share))]
            settled = self.rows["payments"][payments[int(random.integers(0, len(payments)))]]
            yield [
                Happened("payments", None, self._put("payments", self._payment(payer, now))),
                self._change("payments", settled, updated_at=now, method="transfer"),
            ]
        for payment in self._of_orders():
            yield [Happened("payments", None, self._put("payments", payment))]

    def _of_orders(self) -> Iterator[Row]:
        """What is paid for the orders of this day."""
        for steps in Streams(self.world).orders(self.day):
            for step in steps:
                if step["event_type"] == "paid":
                    yield from self._of_order(step)

    def _of_order(self, paid: Row) -> Iterator[Row]:
        number, amount = paid["payment_id"], paid["amount"]
        if number % UNPAID_ONE_IN == 3:
            self.unpaid.append(number)
            return
        if number % SHORT_ONE_IN == 1:
            self.short.append(number)
            amount -= min(amount, Decimal("1.00"))
        yield {
            "payment_id": number,
            "customer_id": paid["customer_id"],
            "amount": amount,
            "currency": paid["currency"],
            "method": paid["payment_method"],
            "is_refund": False,
            "paid_at": paid["event_time"],
            "updated_at": paid["event_time"],
        }

    def _change(self, table: Table, row: Row, **values: Any) -> Happened:
        key = row[KEYS[table]]
        del self.rows[table][key]
        return Happened(table, key, self._put(table, row | values))

    def _put(self, table: Table, row: Row) -> Row:
        self.rows[table][row[KEYS[table]]] = row
        return row

    def _customer(self, number: int, contact: Row) -> Row:
        shop_alone = number % 1_000 < SHOP_ALONE_PER_THOUSAND
        created: datetime = contact["CreatedDate"]
        return {
            "customer_id": f"shop-{number:06d}" if shop_alone else contact["Id"],
            "external_id": str(UUID(int=(self.world.seed << 64) + number, version=4)),
            "email": f"guest{number}@shop.example" if shop_alone else contact["Email"],
            "full_name": contact["Name"],
            "phone": contact["Phone"],
            "tier": TIERS[number % len(TIERS)],
            "is_active": number % 9 != 0,
            "born_on": date(1950, 1, 1) + timedelta(days=number * 37 % 18_000) if number % 5 else None,
            "balance": Decimal(number * 1_237 % 1_000_000 - 2_000).scaleb(-2),
            "interests": [INTERESTS[number % 8], INTERESTS[number % 5]] if number % 4 else None,
            "preferences": {"theme": "dark", "sizes": [number, 4.50], "note": 'a "b"\n'}
            if number % 3
            else None,
            "notes": f"{number}: " + self._long_text(number) if number % 6 == 0 else f"note {number}",
            "created_at": created,
            "updated_at": contact["SystemModstamp"] + timedelta(microseconds=number),
        }

    def _payment(self, customer: str, now: datetime) -> Row:
        self.numbered += 1
        number = self.numbered
        paid = now - timedelta(seconds=number * 7_919 % 5_000_000)
        return {
            "payment_id": number,
            "customer_id": customer,
            "amount": Decimal(number * 7_907 % 900_000 + 100).scaleb(-2),
            "currency": CURRENCIES[number % len(CURRENCIES)],
            "method": METHODS[number % len(METHODS)],
            "is_refund": number % 23 == 0,
            "paid_at": paid,
            "updated_at": paid + timedelta(microseconds=number),
        }

    def _long_text(self, number: int) -> str:
        """Letters by chance, which don't compress to nothing."""
        letters = self.world.random(401, number).integers(97, 123, LONG_NOTE, dtype="uint8")
        return letters.tobytes().decode()

    def _plant(self, table: Table) -> None:
        """No row carries two faults: each is dealt from one shuffled pack."""
        keys = list(self.rows[table])
        pack = self.world.random(402, len(table)).permutation(len(keys)).tolist()
        for fault, share in PER_THOUSAND[table].items():
            count = max(1, len(keys) * share // 1_000)
            dealt, pack = [keys[place] for place in pack[:count]], pack[count:]
            for key in dealt:
                row = self.rows[table][key]
                self._put(table, row | _fault(fault, row))
            self.planted[table][fault] = dealt


def _fault(fault: str, row: Row) -> Row:
    """What the fault makes of a row."""
    match fault:
        case "bad_email":
            return {"email": f"{row['customer_id']} at mail.example"}
        case "other_case_email":
            return {"email": (row["email"] or "Nobody@Shop.Example").swapcase()}
        case "spaced_email":
            return {"email": f"  {row['email']} " if row["email"] else None}
        case "negative_amount":
            return {"amount": -row["amount"]}
        case _:
            return _ALIKE[fault]


# Faults that are the same in every row.
_ALIKE: dict[str, Row] = {
    "endless_birth": {"born_on": Unheld("-infinity")},
    "balance_of_no_number": {"balance": Unheld("NaN")},
    "balance_too_fine": {"balance": Unheld("10.12345")},
    "unknown_tier": {"tier": UNKNOWN_TIER},
    "unknown_currency": {"currency": "XXX"},
    "no_customer": {"customer_id": None},
    "endless_payment": {"paid_at": Unheld("infinity")},
}
