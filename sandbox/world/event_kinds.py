"""What one event of each topic says: visitors' sessions, orders' steps, changes of stock, uses of cards.

The streams that they make, and what is wrong with some of them, are in events.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from sandbox.world.products import category, product_id

Row = dict[str, Any]

# City, country, latitude, longitude.
CITIES = (
    ("London", "GB", 51.5074, -0.1278),
    ("Berlin", "DE", 52.52, 13.405),
    ("Paris", "FR", 48.8566, 2.3522),
    ("Madrid", "ES", 40.4168, -3.7038),
    ("New York", "US", 40.7128, -74.006),
    ("東京", "JP", 35.6762, 139.6503),
)
CURRENCIES = ("GBP", "EUR", "EUR", "EUR", "USD", "JPY")
# What an order is paid in, by its number.
ORDER_CURRENCIES = ("EUR", "EUR", "USD", "GBP")
# What a visitor does, in the order in which it is done; most leave before the end.
VISIT = ("page_view", "search", "product_view", "login", "add_to_cart", "checkout_started", "purchase")
STEPS = ("placed", "paid", "packed", "shipped", "delivered")
REASONS = ("sale", "sale", "sale", "receipt", "return", "transfer_out", "transfer_in", "adjustment")
# Name, ISO 18245's category, how it is paid there.
MERCHANTS = (
    ("Corner Grocer", "5411", "pos"),
    ("Süd Fuel", "5541", "pos"),
    ("The Online Shop", "5942", "online"),
    ("City Cash", "6011", "atm"),
    ("Stream & Go", "4899", "recurring"),
    ("Hôtel du Lac", "7011", "pos"),
)
SCHEMES = {"4": "visa", "5": "mastercard"}
SESSION_GAP = timedelta(minutes=30)
# Source, medium and campaign of the link that visitors came by: ads name their campaign by its id; most came by none.
SENT_BY = (
    ("newsletter", "email", "spring"),
    ("facebook", "cpc", "10010000010000"),
    ("google", "cpc", "20010000010000"),
    (None, None, None),
    (None, None, None),
    ("facebook", "cpc", "10010000020001"),
    (None, None, None),
    (None, None, None),
)
# The shop's payments of orders are numbered by the orders, beyond all its others.
FIRST_ORDER_PAYMENT = 1_000_000


@dataclass(frozen=True)
class Span:
    """The time in which events happen, who could cause them, and a chance of its own."""

    since: datetime
    until: datetime
    customers: Sequence[str]
    # What a piece of each product costs.
    prices: Sequence[Decimal]
    random: np.random.Generator
    # How many orders the company had before.
    ordered: int

    def moment(self) -> datetime:
        """Some moment, to the millisecond, with room behind it for what follows."""
        room = int((self.until - self.since - timedelta(hours=2)).total_seconds() * 1_000)
        return self.since + timedelta(milliseconds=int(self.random.integers(0, room)))

    def event_id(self) -> str:
        return str(UUID(bytes=self.random.bytes(16), version=4))

    def pick(self, count: int) -> int:
        return int(self.random.integers(0, count))


def user_events(span: Span, count: int) -> Iterator[Row]:
    """Sessions of one to seven events, a few seconds or minutes apart."""
    made = 0
    while made < count:
        steps = min(1 + span.pick(len(VISIT)), count - made)
        yield from _visit(span, steps)
        made += steps


def _visit(span: Span, steps: int) -> Iterator[Row]:
    visitor, moment = span.pick(len(span.customers)), span.moment()
    city, country, latitude, longitude = CITIES[visitor % len(CITIES)]
    is_mobile, session = visitor % 3 == 0, f"S-{span.event_id()[:18]}"
    number = span.pick(len(span.prices))
    product, price = product_id(number), span.prices[number]
    source, medium, campaign = SENT_BY[visitor % len(SENT_BY)]
    for place, kind in enumerate(VISIT[:steps], start=1):
        is_known, bought = place > VISIT.index("login"), kind == "purchase"
        about_product = kind in ("product_view", "add_to_cart", "purchase")
        yield {
            "event_id": span.event_id(),
            "event_type": kind,
            "event_time": moment,
            "received_at": moment + timedelta(milliseconds=20 + span.pick(2_000)),
            "user_id": span.customers[visitor] if is_known else None,
            "anonymous_id": f"anon-{visitor:06d}",
            "session_id": session,
            "sequence": place,
            "device_id": f"device-{visitor:06d}",
            "device_type": "mobile" if is_mobile else "desktop",
            "operating_system": "iOS" if is_mobile else "Windows",
            "browser": "Safari" if is_mobile else "Firefox",
            "app_version": f"4.{visitor % 9}.0" if is_mobile else None,
            "user_agent": f"Mozilla/5.0 ({'iPhone' if is_mobile else 'Windows NT 10.0'}) {visitor % 50}",
            "page_url": f"https://shop.example/{kind}?p={product}",
            "page_title": "Übersicht" if kind == "page_view" else None,
            "referrer": "https://search.example/" if place == 1 else None,
            "search_terms": 'garden "bench" 日本' if kind == "search" else None,
            "product_id": product if about_product else None,
            "order_id": f"O-{span.pick(max(1, span.ordered)):08d}" if bought else None,
            "quantity": 1 + visitor % 3 if about_product and kind != "product_view" else None,
            "value": price if about_product else None,
            "currency": CURRENCIES[visitor % len(CITIES)] if about_product else None,
            "country": country,
            "city": city,
            "latitude": latitude + visitor % 100 / 1_000,
            "longitude": longitude - visitor % 100 / 1_000,
            "ip_address": f"198.51.{visitor // 250 % 250}.{visitor % 250}",
            "language": "de" if country == "DE" else "en",
            "utm_source": source,
            "utm_medium": medium,
            "utm_campaign": campaign,
            "is_bot": visitor % 50 == 49,
            "properties": {"experiment": f"e{visitor % 3}", "scroll": visitor % 100 / 100},
        }
        # Never so long that the front end would count a new session.
        moment += timedelta(seconds=2 + span.pick(int(SESSION_GAP.total_seconds()) // 2))


def order_events(span: Span, count: int) -> Iterator[Row]:
    """The steps of orders that the warehouse knows too, under the same numbers and of the same customers."""
    made, number = 0, span.ordered
    while made < count:
        steps = min(1 + span.pick(len(STEPS)), count - made)
        yield from _order(span, number, steps)
        made, number = made + steps, number + 1


def _order(span: Span, number: int, steps: int) -> Iterator[Row]:
    customer, moment = number % len(span.customers), span.moment()
    items = _items(span, number)
    for place, step in enumerate(STEPS[:steps]):
        is_sent = place >= STEPS.index("shipped")
        yield {
            "event_id": span.event_id(),
            "event_type": step,
            "event_time": moment,
            "order_id": f"O-{number:08d}",
            "customer_id": span.customers[customer] if number % 30 else f"W-{number:06d}",
            "items": items,
            "amount": sum((each["quantity"] * each["unit_price"] for each in items), Decimal(0)),
            "currency": ORDER_CURRENCIES[number % len(ORDER_CURRENCIES)],
            "payment_method": ("card", "card", "wallet", "invoice")[number % 4],
            "payment_id": FIRST_ORDER_PAYMENT + number if place else None,
            "coupon_code": "SPRING10" if number % 8 == 0 else None,
            "shipping_address": f"{1 + customer % 90} Mill Lane, Flat {customer % 9}\nRear entrance",
            "shipping_postal_code": f"{10_000 + customer % 80_000}",
            "shipping_country": CITIES[customer % len(CITIES)][1],
            "warehouse_id": f"WH-{number % 4}" if place >= STEPS.index("packed") else None,
            "carrier": "Parcel & Co" if is_sent else None,
            "tracking_number": f"PC{number:012d}" if is_sent else None,
            "is_gift": number % 11 == 0,
            "sales_channel": ("web", "app", "phone")[number % 3],
        }
        moment += timedelta(seconds=60 + span.pick(1_000))


def _items(span: Span, number: int) -> list[Row]:
    """Pieces of one product, now and then in two lines."""
    product, pieces = span.pick(len(span.prices)), 1 + span.pick(5)
    parts = (1, pieces - 1) if number % 7 == 0 and pieces > 1 else (pieces,)
    return [
        {"product_id": product_id(product), "quantity": part, "unit_price": span.prices[product]}
        for part in parts
    ]


def inventory_updates(span: Span, count: int) -> Iterator[Row]:
    for _ in range(count):
        product, reason = span.pick(len(span.prices)), REASONS[span.pick(len(REASONS))]
        moved = 1 + span.pick(40)
        yield {
            "event_id": span.event_id(),
            "reason": reason,
            "event_time": span.moment(),
            "product_id": product_id(product),
            "category": category(product),
            "warehouse_id": f"WH-{span.pick(4)}",
            "bin": f"{'ABCD'[product % 4]}{product % 60:02d}",
            "quantity_change": -moved if reason in ("sale", "transfer_out") else moved,
            "quantity_on_hand": 40 + span.pick(500),
            "quantity_reserved": span.pick(20),
            "reorder_point": 25,
            "unit_cost": Decimal(50 + product * 37 % 9_000).scaleb(-2),
            "currency": "EUR",
            "supplier_id": f"SUP-{product % 12:03d}" if reason == "receipt" else None,
            "order_id": f"O-{span.pick(max(1, span.ordered)):08d}" if reason in ("sale", "return") else None,
            "lot": f"L{product:05d}/{moved}" if reason == "receipt" else None,
            "expires_on": date(2027, 1 + product % 12, 1) if product % 7 == 0 else None,
            "counted_by": f"clerk-{product % 5}" if reason == "adjustment" else None,
            "is_final": reason != "adjustment",
        }


def card_transactions(span: Span, count: int) -> Iterator[Row]:
    for number in range(count):
        holder = span.pick(len(span.customers))
        yield card_use(span, holder, span.moment(), MERCHANTS[(holder + number) % len(MERCHANTS)])


def card_use(span: Span, holder: int, moment: datetime, merchant: tuple[str, str, str]) -> Row:
    """One use of the customer's card, where the customer lives."""
    city, country, latitude, longitude = CITIES[holder % len(CITIES)]
    name, category, channel = merchant
    card, is_there, is_online = card_number(holder), channel in ("pos", "atm"), channel == "online"
    is_declined, amount = span.pick(20) == 0, Decimal(100 + span.pick(30_000)).scaleb(-2)
    currency = CURRENCIES[holder % len(CITIES)]
    return {
        "event_id": span.event_id(),
        "transaction_id": f"TX-{span.event_id()[:13]}",
        "event_time": moment,
        "processed_at": moment + timedelta(milliseconds=80 + span.pick(400)),
        "transaction_type": "withdrawal" if channel == "atm" else "purchase",
        "original_transaction_id": None,
        "card_number": card,
        "card_scheme": SCHEMES[card[0]],
        "card_type": "credit" if holder % 3 == 0 else "debit",
        "card_expires": f"{1 + holder % 12:02d}/{28 + holder % 4}",
        "issuer_country": country,
        "customer_id": span.customers[holder],
        "order_id": f"O-{span.pick(max(1, span.ordered)):08d}" if is_online else None,
        "amount": amount,
        "currency": currency,
        "billing_amount": amount,
        "billing_currency": currency,
        "merchant_id": f"M-{category}-{holder % 7}",
        "merchant_name": name,
        "merchant_category_code": category,
        "merchant_country": country,
        "merchant_city": city,
        "terminal_id": f"T-{category}-{holder % 40}" if is_there else None,
        "channel": channel,
        "entry_mode": "chip" if channel == "atm" else "contactless" if is_there else "stored",
        "is_card_present": is_there,
        "is_pin_verified": channel == "atm",
        "three_d_secure": "authenticated" if is_online else "none",
        "address_check": "Y" if is_online else None,
        "code_check": "M" if is_online else None,
        "status": "declined" if is_declined else "approved",
        "decline_reason": "insufficient_funds" if is_declined else None,
        "device_id": f"device-{holder:06d}" if is_online else None,
        "latitude": latitude if is_there else None,
        "longitude": longitude if is_there else None,
        "ip_address": f"198.51.{holder // 250 % 250}.{holder % 250}" if is_online else None,
        "wallet": "apple_pay" if channel == "pos" and holder % 4 == 0 else None,
        "processor_score": holder % 30 / 100,
    }


def card_number(holder: int) -> str:
    """A number of no one's: of the ranges that schemes keep for tests, with the check digit that each has to have."""
    digits = f"{'400000' if holder % 4 else '555555'}{holder:09d}"
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    return f"{digits}{-sum(each // 10 + each % 10 for each in doubled) % 10}"
