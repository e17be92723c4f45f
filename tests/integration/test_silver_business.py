"""Orders, products, payments, their reconciliation and visitors' sessions over days of the company's life: each is what
the world says, made here a second time in Python.

What the sources hold is landed as their connectors do; that these do so is tested beside them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.silver.joined_step import join
from data_platform.silver.order_reconciliation import ORDER_RECONCILIATION
from data_platform.silver.orders import ORDERS, STEPS
from data_platform.silver.payments import PAYMENTS
from data_platform.silver.products import PRODUCTS
from data_platform.silver.step import Refined, refine
from data_platform.silver.user_sessions import GAP, USER_SESSIONS
from data_platform.sources import postgres
from data_platform.sources.kafka import INVENTORY_UPDATES, ORDER_EVENTS, USER_EVENTS
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.snowflake import CUSTOMER_ORDERS, FINANCIAL_TRANSACTIONS, PRODUCT_CATALOG
from sandbox.landing.rates import rates_on
from sandbox.world.company import EPOCH, Sizes, World
from sandbox.world.events import Streams
from sandbox.world.shop import Shop, Unheld
from sandbox.world.warehouse import Warehouse
from tests.integration.landed import land

Row = dict[str, Any]
DAYS = (0, 1)
TOPICS = (USER_EVENTS, ORDER_EVENTS, INVENTORY_UPDATES)
WAREHOUSE = (CUSTOMER_ORDERS, PRODUCT_CATALOG, FINANCIAL_TRANSACTIONS)
SOURCES = (*TOPICS, *WAREHOUSE, postgres.PAYMENTS, EXCHANGE_RATES)
JOINED = (ORDERS, PRODUCTS, PAYMENTS, ORDER_RECONCILIATION, USER_SESSIONS)
FIRST_RATES = EPOCH.date() - timedelta(days=4)
LATER_RATES = EPOCH.date() + timedelta(days=1)


@dataclass
class Day:
    """What the sources held at the end of a day, and what was made of it."""

    truth: dict[str, dict[Any, Row]]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    did: dict[str, Refined] = field(default_factory=dict)

    def live(self, table: str) -> list[Row]:
        return [row for row in self.rows[table] if not row["is_deleted"]]


@dataclass
class Company:
    """The company's sources, landed day by day."""

    lake: Lake
    streams: Streams
    warehouse: Warehouse
    shop: Shop
    landed: dict[str, dict[Any, Row]] = field(default_factory=lambda: defaultdict(dict))
    offset: int = 0

    def live_until(self, day: int) -> None:
        for topic in TOPICS:
            self._land_messages(topic, day)
        if day:
            self._change_warehouse(day)
            for _ in self.shop.live_a_day():
                pass
        for table in WAREHOUSE:
            self._land_changed(table, self.warehouse.rows[table.name])
        self._land_changed(postgres.PAYMENTS, self.shop.rows["payments"])
        self._land_rates(LATER_RATES if day else FIRST_RATES)

    def _land_messages(self, topic: SourceTable, day: int) -> None:
        rows = []
        for message in self.streams.messages(topic.name, day):
            self.offset += 1
            if not message.poison:
                said = message.row or {"event_id": message.key, "_op": "delete"}
                rows.append(said | {"_order": self.offset})
                self.landed[topic.name][message.key] = message.row or {}
        land(self.lake, topic, *rows)

    def _change_warehouse(self, day: int) -> None:
        self.warehouse.day = day
        orders = self.warehouse.rows["customer_orders"]
        now = self.warehouse.until + timedelta(days=day)
        customers = [row["customer_id"] for row in list(orders.values())[3:6]]
        for row in self.warehouse.order(customers, now - timedelta(days=1), now):
            row["updated_at"] = now
        for key in sorted(orders)[10 * day : 10 * day + 4]:
            orders[key] = orders[key] | {"status": "returned", "updated_at": now}
        products = self.warehouse.rows["product_catalog"]
        for key in sorted(products)[5:7]:
            products[key] = products[key] | {"is_active": not products[key]["is_active"], "updated_at": now}

    def _land_changed(self, table: SourceTable, rows: Mapping[Any, Row]) -> None:
        before = self.landed[table.name]
        changed = [row for key, row in rows.items() if before.get(key) != row]
        (key,) = table.key
        gone = [{key: each, "_op": "delete"} for each in before.keys() - rows.keys()]
        numbered = []
        for row in (*changed, *gone):
            self.offset += 1
            numbered.append(row | {"_order": self.offset})
        land(self.lake, table, *numbered)
        self.landed[table.name] = dict(rows)

    def _land_rates(self, day: date) -> None:
        rates = [
            {"currency": currency, "date": day, "base": "USD", "rate": Decimal(str(rate))}
            for currency, rate in rates_on(day).items()
        ]
        land(self.lake, EXCHANGE_RATES, *rates)
        self.landed["exchange_rates"] |= {(row["currency"], day): row for row in rates}


@pytest.fixture(scope="module")
def days(tmp_path_factory, spark) -> list[Day]:
    lake = Lake(str(tmp_path_factory.mktemp("business") / "lake"))
    world = World(sizes=Sizes(accounts=20, contacts=200, leads=20, opportunities=20))
    company = Company(lake, Streams(world), Warehouse(world, world.now), Shop(world))
    days = []
    for number in DAYS:
        company.live_until(number)
        day = Day({name: dict(rows) for name, rows in company.landed.items()})
        for source in SOURCES:
            refine(lambda: spark, source, lake)
        for table in JOINED:
            day.did[table.name] = join(lambda: spark, table, lake)
            day.rows[table.name] = lake.silver(table.name).query("select * from held").to_pylist()
        days.append(day)
    return days


each_day = pytest.mark.parametrize("number", DAYS)

# The truth, said a second time.


def good(truth: Mapping[Any, Row], *judges: Any) -> dict[Any, Row]:
    """Without what was taken back and what breaks an error rule."""
    return {key: row for key, row in truth.items() if row and all(judge(row) for judge in judges)}


def events_of_orders(day: Day) -> dict[Any, Row]:
    return good(day.truth["order_events"], lambda row: row["customer_id"], lambda row: row["amount"] > 0)


def orders_held(day: Day) -> dict[Any, Row]:
    return good(
        day.truth["customer_orders"],
        lambda row: row["customer_id"],
        lambda row: row["amount"] > 0,
        lambda row: row["order_date"] >= date(2000, 1, 1),
    )


def payments_held(day: Day) -> dict[Any, Row]:
    return good(day.truth["payments"], lambda row: row["customer_id"], lambda row: row["amount"] >= 0)


def in_dollars(day: Day, amount: Decimal | None, currency: str, on: date | None) -> Decimal | None:
    if amount is None or on is None or currency == "USD":
        return amount if currency == "USD" else None
    published = [
        each for each in (FIRST_RATES, LATER_RATES) if (currency, each) in day.truth["exchange_rates"]
    ]
    known = [each for each in published if each <= on]
    if not known:
        return None
    rate: Decimal = day.truth["exchange_rates"][currency, max(known)]["rate"]
    return cents(amount * rounded(1 / rate, 12))


def cents(amount: Decimal) -> Decimal:
    return rounded(amount, 2)


def rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def by_time(events: Iterable[Row]) -> list[Row]:
    return sorted(events, key=lambda event: (event["event_time"], event["event_id"]))


def last_said(events: list[Row], name: str) -> Any:
    return next((event[name] for event in reversed(events) if event[name] is not None), None)


def expected_orders(day: Day) -> dict[str, Row]:
    told: dict[str, list[Row]] = defaultdict(list)
    for event in by_time(events_of_orders(day).values()):
        told[event["order_id"]].append(event)
    held = orders_held(day)
    return {
        key: expected_order(day, key, held.get(key), told.get(key, [])) for key in held.keys() | told.keys()
    }


def expected_order(day: Day, key: str, held: Row | None, events: list[Row]) -> Row:
    at = {step: [event["event_time"] for event in events if event["event_type"] == step] for step in STEPS}
    statuses = [event["event_type"] for event in events] + ([held["status"]] if held else [])
    first = {step: min(moments, default=None) for step, moments in at.items()}
    said = held or {
        "customer_id": last_said(events, "customer_id"),
        "product_id": events[-1]["items"][0]["product_id"],
        "quantity": sum(item["quantity"] for item in events[-1]["items"]),
        "amount": last_said(events, "amount"),
        "currency": last_said(events, "currency"),
        "order_date": (first["placed"] or events[0]["event_time"]).date(),
        "shipped_at": None,
        "updated_at": None,
    }
    moments = [event["event_time"] for event in events] + [said["updated_at"]]
    agrees = all(said[name] == last_said(events, name) for name in ("customer_id", "amount", "currency"))
    return {
        "order_id": key,
        **{name: said[name] for name in ("customer_id", "product_id", "quantity", "amount", "currency")},
        "order_date": said["order_date"],
        "amount_usd": in_dollars(day, said["amount"], said["currency"], said["order_date"]),
        "status": max(statuses, key=STEPS.index),
        "placed_at": first["placed"],
        "paid_at": first["paid"],
        "shipped_at": first["shipped"] or said["shipped_at"],
        "delivered_at": first["delivered"],
        **{
            name: last_said(events, name)
            for name in ("payment_method", "payment_id", "coupon_code", "sales_channel", "carrier", "is_gift")
        },
        "in_warehouse": held is not None,
        "in_events": bool(events),
        "event_count": len(events),
        "amount_in_events": last_said(events, "amount"),
        "sides_agree": agrees if held and events else None,
        "updated_at": max(each for each in moments if each is not None),
    }


def expected_products(day: Day) -> dict[str, Row]:
    listed = good(day.truth["product_catalog"], lambda row: row["price"] > 0)
    newest: dict[str, dict[str, Row]] = defaultdict(dict)
    updates = good(day.truth["inventory_updates"], lambda row: row["quantity_change"] is not None)
    for update in by_time(updates.values()):
        newest[update["product_id"]][update["warehouse_id"]] = update
    expected = {}
    for key in listed.keys() | newest.keys():
        row, stock = listed.get(key, {}), by_time(newest[key].values())
        on_hand, reserved = (
            sum(each[name] for each in stock) if stock else None
            for name in ("quantity_on_hand", "quantity_reserved")
        )
        expected[key] = {
            "product_name": row.get("product_name"),
            "category": row.get("category") or stock[-1]["category"],
            "price": row.get("price"),
            "is_active": row.get("is_active"),
            "quantity_on_hand": on_hand,
            "quantity_available": on_hand - reserved if stock else None,
            "warehouses": len(stock),
            "unit_cost": stock[-1]["unit_cost"] if stock else None,
            "stock_as_of": stock[-1]["event_time"] if stock else None,
            "in_catalogue": bool(row),
        }
    return expected


def expected_payments(day: Day) -> dict[int, Row]:
    order_of = {
        event["payment_id"]: event["order_id"]
        for event in by_time(events_of_orders(day).values())
        if event["payment_id"]
    }
    return {
        key: {
            **{name: plain(row[name]) for name in ("customer_id", "amount", "currency", "method", "paid_at")},
            "order_id": order_of.get(key),
            "amount_usd": None
            if isinstance(row["paid_at"], Unheld)
            else in_dollars(day, row["amount"], row["currency"], row["paid_at"].date()),
        }
        for key, row in payments_held(day).items()
    }


def plain(value: Any) -> Any:
    return None if isinstance(value, Unheld) else value


def expected_reconciliation(day: Day) -> dict[str, Row]:
    orders, paid = expected_orders(day), payments_held(day)
    lines: dict[str, list[Row]] = defaultdict(list)
    for line in day.truth["financial_transactions"].values():
        lines[line["order_id"]].append(line)
    expected = {}
    for key in orders.keys() | lines.keys():
        order, booked = orders.get(key), lines[key]
        payment = paid.get(order["payment_id"]) if order else None
        debit, credit = (sum((line[side] for line in booked), Decimal(0)) for side in ("debit", "credit"))
        currencies = {line["currency"] for line in booked}
        expected[key] = {
            "order_amount": order["amount"] if order else None,
            "booked_debit": debit if booked else None,
            "booked_credit": credit if booked else None,
            "paid_amount": payment["amount"] if payment else None,
            "difference": debit - order["amount"] if order and currencies == {order["currency"]} else None,
            "state": state_of(order, booked, payment, debit, credit, currencies),
        }
    return expected


def state_of(
    order: Row | None,
    booked: list[Row],
    payment: Row | None,
    debit: Decimal,
    credit: Decimal,
    currencies: set[str],
) -> str:
    if order is None:
        return "no_order"
    if not booked:
        return "not_booked"
    if debit != credit:
        return "out_of_balance"
    if currencies != {order["currency"]} or (payment and payment["currency"] != order["currency"]):
        return "currency_differs"
    amounts = {debit, order["amount"]} | ({payment["amount"]} if payment else set())
    return "agrees" if len(amounts) == 1 else "amount_differs"


def expected_sessions(day: Day) -> dict[tuple[str, Any], Row]:
    of_visitor: dict[str, list[Row]] = defaultdict(list)
    for event in by_time(good(day.truth["user_events"]).values()):
        of_visitor[event["user_id"] or event["anonymous_id"]].append(event)
    sessions: dict[tuple[str, Any], list[Row]] = {}
    for visitor, events in of_visitor.items():
        for place, event in enumerate(events):
            if place == 0 or event["event_time"] - events[place - 1]["event_time"] > GAP:
                begun = (visitor, event["event_time"])
                sessions[begun] = []
            sessions[begun].append(event)
    return {key: expected_session(day, events) for key, events in sessions.items()}


def expected_session(day: Day, events: list[Row]) -> Row:
    kinds = [event["event_type"] for event in events]
    spent = [
        in_dollars(day, event["value"], event["currency"], event["event_time"].date())
        for event in events
        if event["event_type"] == "purchase" and event["value"] is not None
    ]
    return {
        "ended_at": events[-1]["event_time"],
        "events": len(events),
        "page_views": kinds.count("page_view"),
        "cart_additions": kinds.count("add_to_cart"),
        "purchases": kinds.count("purchase"),
        "value_usd": sum(known) if (known := [each for each in spent if each is not None]) else None,
        "device_type": events[0]["device_type"],
        "landing_page": events[0]["page_url"],
        "is_bot": any(event["is_bot"] for event in events),
    }


def found(day: Day, table: str, key: tuple[str, ...], expected: Mapping[Any, Row]) -> dict[Any, Row]:
    """What the table holds, in the columns that are expected."""
    columns = next(iter(expected.values())).keys()
    rows = {tuple(row[name] for name in key): row for row in day.live(table)}
    assert len(rows) == len(day.live(table))
    return {
        each if len(key) > 1 else each[0]: {name: row[name] for name in columns} for each, row in rows.items()
    }


@each_day
def test_an_order_is_one_life_of_what_both_sides_tell(days, number):
    expected = expected_orders(days[number])
    assert found(days[number], "orders", ORDERS.key, expected) == expected


@each_day
def test_products_have_the_stock_that_their_warehouses_last_told(days, number):
    expected = expected_products(days[number])
    assert found(days[number], "products", PRODUCTS.key, expected) == expected


@each_day
def test_payments_have_the_order_that_they_were_made_for(days, number):
    expected = expected_payments(days[number])
    assert found(days[number], "payments", PAYMENTS.key, expected) == expected


@each_day
def test_orders_are_reconciled_with_what_was_booked_and_paid(days, number):
    expected = expected_reconciliation(days[number])
    assert found(days[number], "order_reconciliation", ORDER_RECONCILIATION.key, expected) == expected


@each_day
def test_sessions_are_the_stretches_of_a_visitors_events(days, number):
    expected = expected_sessions(days[number])
    assert found(days[number], "user_sessions", USER_SESSIONS.key, expected) == expected


def test_the_worlds_sides_agree_but_for_the_planted(days):
    """As in life: what events tell of an order is what the warehouse holds and the shop was paid."""
    orders = expected_orders(days[-1]).values()
    both = [order for order in orders if order["sides_agree"] is not None]
    assert len(both) > 20
    assert {int(order["order_id"][2:]) % 50 for order in both if not order["sides_agree"]} <= {1}
    states = [row["state"] for row in expected_reconciliation(days[-1]).values()]
    assert states.count("agrees") > 0.8 * len(states)
    paid = [order for order in orders if order["payment_id"] in payments_held(days[-1])]
    assert len(paid) > 20


@pytest.mark.parametrize("table", ["orders", "payments", "user_sessions", "order_reconciliation"])
def test_a_day_makes_anew_what_it_touches_and_not_the_rest(days, table):
    assert 0 < days[-1].did[table].keys < len(days[-1].live(table)) / 2


def test_rates_that_are_published_later_are_followed(days):
    """On the second day there are rates for it; orders of that day have dollars by them from then on."""
    worth = {row["order_id"]: row["amount_usd"] for row in days[1].live("orders")}
    of_that_day = [
        row for row in days[1].live("orders") if row["order_date"] >= LATER_RATES and row["currency"] != "USD"
    ]
    assert of_that_day
    assert all(
        worth[row["order_id"]] == in_dollars(days[1], row["amount"], row["currency"], row["order_date"])
        for row in of_that_day
    )
