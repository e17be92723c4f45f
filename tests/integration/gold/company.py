"""A small company as silver holds it, that changes by chance: all tables that gold reads, without Spark.

Each round of changes is a commit of silver: what it touches has that number as `_batch`. Rows come late, change, go and
come back; customers are merged; sessions follow their events.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import yaml
from deltalake import write_deltalake

from data_platform.gold.sources import sources_file
from data_platform.settings import Settings

Row = dict[str, Any]
Key = tuple[Any, ...]

START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION_GAP = timedelta(minutes=30)
KEYS: dict[str, tuple[str, ...]] = {
    "salesforce_accounts": ("account_id",),
    "salesforce_contacts": ("contact_id",),
    "salesforce_leads": ("lead_id",),
    "salesforce_opportunities": ("opportunity_id",),
    "opportunity_amounts": ("opportunity_id",),
    "customers": ("customer_id",),
    "customer_identities": ("system", "source_id"),
    "orders": ("order_id",),
    "products": ("product_id",),
    "payments": ("payment_id",),
    "order_reconciliation": ("order_id",),
    "snowflake_financial_transactions": ("transaction_id",),
    "kafka_inventory_updates": ("event_id",),
    "kafka_user_events": ("event_id",),
    "user_sessions": ("visitor_id", "started_at"),
    "ad_performance": ("platform", "ad_id", "day"),
    "dynamodb_campaign_info": ("campaign_id", "task_id"),
    "user_campaign_progress": ("user_id", "campaign_id", "task_id"),
}
_ARROW = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}


def arrow_type(written: str) -> pa.DataType | None:
    """The type of a column of a source; None where no model of gold reads such a one."""
    if written.startswith("decimal"):
        return pa.decimal128(*map(int, written.removeprefix("decimal(").removesuffix(")").split(",")))
    return _ARROW.get(written)


def schemas(project_sources: str) -> dict[str, pa.Schema]:
    (silver,) = yaml.safe_load(project_sources)["sources"]
    return {
        table["name"]: pa.schema(
            [
                pa.field(column["name"], kind)
                for column in table["columns"]
                if (kind := arrow_type(column["data_type"])) is not None
            ]
        )
        for table in silver["tables"]
    }


def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


@dataclass
class Company:
    """The tables by name, their rows by key. `changed` are the tables that a commit has to write."""

    seed: int = 7
    rows: dict[str, dict[Key, Row]] = field(default_factory=lambda: {name: {} for name in KEYS})
    batch: int = 0
    changed: set[str] = field(default_factory=lambda: set(KEYS))
    now: datetime = START

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - no secret
        self.written = schemas(sources_file(Settings().dbt_project).read_text())

    # Commits

    def commit(self, settings: Settings) -> None:
        """Write what changed since the last commit, as one step of silver would leave it."""
        for name in sorted(self.changed):
            table = pa.Table.from_pylist(list(self.rows[name].values()), schema=self.written[name])
            write_deltalake(f"{settings.lake}/silver/{name}", table, mode="overwrite")
        self.changed.clear()

    def begin(self) -> None:
        """From here on, what changes belongs to the next commit."""
        self.batch += 1
        self.now += timedelta(hours=self.chance.randint(6, 40))

    def put(self, table: str, **values: Any) -> Row:
        key = tuple(values[name] for name in KEYS[table])
        held = self.rows[table].get(key, {"is_deleted": False})
        row = held | {"is_deleted": False} | values
        if row != held or "_batch" not in held:
            self.rows[table][key] = row | {"_batch": self.batch, "_landed_at": self.now}
            self.changed.add(table)
        return self.rows[table][key]

    def delete(self, table: str, key: Key) -> None:
        row = self.rows[table][key]
        self.rows[table][key] = row | {"is_deleted": True, "_batch": self.batch, "_landed_at": self.now}
        self.changed.add(table)

    def live(self, table: str) -> list[Row]:
        return [row for row in self.rows[table].values() if not row["is_deleted"]]

    # Chance

    def some(self, values: Iterable[Any]) -> Any:
        return self.chance.choice(list(values))

    def happens(self, share: float) -> bool:
        return self.chance.random() < share

    def moment(self, days: int = 90) -> datetime:
        return self.now - timedelta(minutes=self.chance.randint(1, days * 24 * 60))

    def shop_number(self) -> str:
        """Some of them belong to nobody that is known, or to one who lands later."""
        return f"shop-{self.chance.randint(0, 17):02d}"

    def product(self) -> str:
        return f"P-{self.chance.randint(0, 7)}"

    # What happens

    def a_first_state(self) -> None:
        self.begin()
        for number in range(8):
            self.customer(number)
        for number in range(5):
            self.a_product(number)
        self.what_stays_as_it_is()
        for _ in range(40):
            self.an_order()
            self.an_inventory_update()
        for _ in range(25):
            self.a_payment()
            self.a_visit()
            self.an_ad_day()
            self.a_progress()
        for number in range(6):
            self.an_account(number)
            self.a_task(number % 3, number)
        for _ in range(15):
            self.a_deal()
            self.a_lead()
        self.sessionise()

    def what_stays_as_it_is(self) -> None:
        """A customer who came once, long ago, and a product that is short."""
        self.put(
            "customers",
            customer_id="C90",
            customer_kind="person",
            full_name="Name 90",
            country="DE",
            first_seen_at=START - timedelta(days=200),
            updated_at=START - timedelta(days=200),
        )
        self.put("customer_identities", system="shop", source_id="shop-90", customer_id="C90")
        self.put(
            "products",
            product_id="P-90",
            product_name="Thing 90",
            quantity_on_hand=3,
            quantity_available=3,
            reorder_point=25,
            unit_cost=money(250),
            updated_at=START,
        )
        self.put(
            "orders",
            order_id="O-once",
            customer_id="shop-90",
            product_id="P-90",
            quantity=1,
            amount=money(500),
            currency="EUR",
            amount_usd=money(1_000),
            status="delivered",
            order_date=(START - timedelta(days=150)).date(),
            placed_at=None,
            sales_channel=None,
            shipping_country=None,
            in_events=False,
        )

    def a_round(self) -> None:
        """Some of it changes, by chance; most tables are touched in most rounds, and some in none."""
        self.begin()
        happenings = (
            lambda: self.customer(self.chance.randint(0, 13)),
            self.customers_are_merged,
            self.a_customer_is_gone,
            lambda: self.a_product(self.chance.randint(0, 7)),
            self.an_order,
            self.an_order_changes,
            self.a_payment,
            self.an_inventory_update,
            self.an_inventory_update_changes,
            self.a_visit,
            self.an_event_changes,
            self.an_ad_day,
            self.a_progress,
            lambda: self.a_task(self.chance.randint(0, 4), self.chance.randint(0, 6)),
            lambda: self.an_account(self.chance.randint(0, 8)),
            self.a_deal,
            self.a_lead,
        )
        for happening in happenings:
            if self.happens(0.6):
                for _ in range(self.chance.randint(1, 3)):
                    happening()
        self.something_is_gone()
        self.sessionise()

    def customer(self, number: int) -> None:
        """A customer with the numbers that the shop knows it by; a number may land rounds before or after."""
        if self.happens(0.8):
            self.put(
                "customers",
                customer_id=f"C{number:02d}",
                customer_kind="person",
                full_name=f"Name {number}",
                email=f"mail{number}@example.com",
                account_id=f"A{number % 9}" if number % 2 else None,
                country=self.some(["DE", "FR", "US"]),
                tier=self.some(["free", "plus"]),
                lead_source="Web",
                is_lead_only=number % 5 == 0,
                first_seen_at=START - timedelta(days=100 - number),
                matched_by="email,id",
                updated_at=self.now,
            )
        if self.happens(0.8):
            for source in {number, number + 14 if number < 4 else number}:
                self.put(
                    "customer_identities",
                    system="shop",
                    source_id=f"shop-{source:02d}",
                    customer_id=f"C{number:02d}",
                )
            self.put(
                "customer_identities",
                system="salesforce_leads",
                source_id=f"L{number}",
                customer_id=f"C{number:02d}",
            )

    def customers_are_merged(self) -> None:
        identity = self.some(self.live("customer_identities"))
        merged = self.chance.randint(0, 13)
        self.put(
            "customer_identities",
            system=identity["system"],
            source_id=identity["source_id"],
            customer_id=f"C{merged:02d}",
        )

    def a_customer_is_gone(self) -> None:
        if self.happens(0.3) and len(self.live("customers")) > 4:
            customer = self.some(self.live("customers"))
            self.delete("customers", (customer["customer_id"],))
            self.rows["customers"][(customer["customer_id"],)]["updated_at"] = self.now

    def a_product(self, number: int) -> None:
        on_hand, reserved = self.chance.randint(0, 90), self.chance.randint(0, 9)
        self.put(
            "products",
            product_id=f"P-{number}",
            product_name=f"Thing {number}",
            category=self.some(["Books", "Toys", None]),
            price=money(self.chance.randint(100, 9_000)),
            is_active=self.happens(0.9),
            in_catalogue=True,
            quantity_on_hand=on_hand,
            quantity_reserved=reserved,
            quantity_available=on_hand - reserved,
            reorder_point=25,
            warehouses=2,
            unit_cost=money(250),
            unit_cost_currency="EUR",
            stock_as_of=self.now,
            updated_at=self.moment(20),
        )

    def an_order(self) -> None:
        number = len(self.rows["orders"])
        placed = self.moment(self.some([2, 120]))
        in_events = self.happens(0.7)
        amount = money(self.chance.randint(100, 50_000))
        self.put(
            "orders",
            order_id=f"O-{number:04d}",
            customer_id=self.shop_number(),
            product_id=self.product(),
            quantity=self.chance.randint(1, 5),
            amount=amount,
            currency="EUR",
            amount_usd=None if self.happens(0.05) else amount * 2,
            status=self.some(["placed", "paid", "delivered", "returned", "cancelled"]),
            order_date=placed.date(),
            placed_at=placed if in_events else None,
            sales_channel=self.some(["web", "app", None]),
            shipping_country=self.some(["DE", "US"]) if in_events else None,
            is_gift=False,
            in_warehouse=True,
            in_events=in_events,
            updated_at=self.now,
        )
        if self.happens(0.8):
            self.a_booking(number if self.happens(0.8) else number + 5)

    def a_booking(self, number: int) -> None:
        """An order's journal; some are booked before the order lands."""
        for line, account in enumerate(("receivables", "sales")):
            amount = money(self.chance.randint(100, 900))
            self.put(
                "snowflake_financial_transactions",
                transaction_id=f"T-{number:04d}-{line}",
                journal_id=f"J-{number:04d}",
                order_id=f"O-{number:04d}",
                account=account,
                debit=amount if line == 0 else money(0),
                credit=amount if line else money(0),
                currency="EUR",
                booked_on=self.now.date(),
                updated_at=self.now,
            )
        self.put(
            "order_reconciliation",
            order_id=f"O-{number:04d}",
            currency="EUR",
            state=self.some(["agrees", "amount_differs", "not_booked"]),
        )

    def an_order_changes(self) -> None:
        order = self.some(self.live("orders"))
        change = self.some(
            [
                {"status": "returned"},
                {"status": "delivered"},
                {"customer_id": self.shop_number()},
                {"amount_usd": money(self.chance.randint(1, 900))},
                {"order_date": order["order_date"] - timedelta(days=1)},
            ]
        )
        self.put("orders", order_id=order["order_id"], **change)

    def a_payment(self) -> None:
        number = self.chance.randint(1, 60)
        amount = money(self.chance.randint(100, 9_000))
        self.put(
            "payments",
            payment_id=number,
            customer_id=self.shop_number(),
            order_id=None,
            amount=amount,
            currency="EUR",
            amount_usd=amount * 2,
            method="card",
            is_refund=self.happens(0.2),
            paid_at=self.moment(100),
        )

    def an_inventory_update(self) -> None:
        self.put(
            "kafka_inventory_updates",
            event_id=f"I{len(self.rows['kafka_inventory_updates']):04d}",
            reason="sale",
            event_time=self.moment(6),
            product_id=self.product(),
            warehouse_id=self.some(["WH-1", "WH-2"]),
            quantity_change=self.chance.randint(-5, 5),
            quantity_on_hand=self.chance.randint(0, 90),
            quantity_reserved=1,
            reorder_point=25,
            unit_cost=money(250),
            currency="EUR",
        )

    def an_inventory_update_changes(self) -> None:
        update = self.some(self.live("kafka_inventory_updates"))
        if self.happens(0.3):
            self.delete("kafka_inventory_updates", (update["event_id"],))
        else:
            self.put("kafka_inventory_updates", event_id=update["event_id"], quantity_on_hand=7)

    def a_visit(self) -> None:
        user = self.shop_number() if self.happens(0.7) else None
        moment, visitor = self.moment(40), f"anon-{self.chance.randint(0, 9)}"
        source, campaign = self.some([("facebook", "F1"), ("google", "G1"), ("google", "G9"), (None, None)])
        for kind in ("page_view", "product_view", "add_to_cart", "checkout_started", "purchase"):
            self.put(
                "kafka_user_events",
                event_id=f"E{len(self.rows['kafka_user_events']):05d}",
                event_type=kind,
                event_time=moment,
                user_id=user,
                anonymous_id=visitor,
                device_type=self.some(["mobile", "desktop"]),
                country="DE",
                product_id=self.product() if kind == "product_view" else None,
                value=money(1_000) if kind == "purchase" else None,
                currency="USD",
                utm_source=source,
                utm_campaign=campaign,
                is_bot=False,
            )
            if self.happens(0.3):
                break
            moment += timedelta(minutes=self.some([1, 5, 29, 31]))

    def an_event_changes(self) -> None:
        event = self.some(self.live("kafka_user_events"))
        if self.happens(0.5):
            self.delete("kafka_user_events", (event["event_id"],))
        else:
            later = event["event_time"] + timedelta(minutes=self.some([-20, 20, 600]))
            self.put("kafka_user_events", event_id=event["event_id"], event_time=later)

    def sessionise(self) -> None:
        """The sessions of the events as they are now; those that no longer come out are deleted."""
        made: set[Key] = set()
        by_visitor: dict[str, list[Row]] = {}
        for event in self.live("kafka_user_events"):
            by_visitor.setdefault(event["user_id"] or event["anonymous_id"], []).append(event)
        for visitor, events in by_visitor.items():
            events.sort(key=lambda event: (event["event_time"], event["event_id"]))
            parts: list[list[Row]] = []
            for event in events:
                if not parts or event["event_time"] - parts[-1][-1]["event_time"] > SESSION_GAP:
                    parts.append([])
                parts[-1].append(event)
            for part in parts:
                row = self.put("user_sessions", **session_of(visitor, part))
                made.add((visitor, row["started_at"]))
        for row in self.live("user_sessions"):
            if (row["visitor_id"], row["started_at"]) not in made:
                self.delete("user_sessions", (row["visitor_id"], row["started_at"]))

    def an_ad_day(self) -> None:
        platform = self.some(["facebook", "google"])
        letter, campaign = platform[0].upper(), self.chance.randint(0, 2)
        spend = money(self.chance.randint(0, 5_000))
        self.put(
            "ad_performance",
            platform=platform,
            ad_id=f"{letter}-ad-{campaign}-{self.chance.randint(0, 1)}",
            day=self.moment(20).date(),
            account_id="acc",
            account_name="Account",
            campaign_id=f"{letter}{campaign}",
            campaign_name=f"Campaign {letter}{campaign} of batch {self.batch}",
            impressions=self.chance.randint(0, 500),
            clicks=self.chance.randint(0, 20),
            currency="EUR",
            spend=spend,
            spend_usd=spend * 2,
        )

    def a_task(self, campaign: int, task: int) -> None:
        self.put(
            "dynamodb_campaign_info",
            campaign_id=f"app-{campaign}",
            task_id=f"T{task}",
            campaign_name=f"App campaign {campaign}",
            task_name=f"Task {task}",
            created_at=START - timedelta(days=50),
            task_deadline=self.now + timedelta(days=30),
            is_active=True,
        )

    def a_progress(self) -> None:
        campaign, task = self.chance.randint(0, 4), self.chance.randint(0, 2)
        progress = self.chance.randint(0, 2) * 50
        self.put(
            "user_campaign_progress",
            user_id=self.shop_number(),
            campaign_id=f"app-{campaign}",
            task_id=f"T{task}",
            created_at=self.moment(30),
            status="active",
            progress=Decimal(progress),
            attempts=1,
            completed_at=self.moment(3) if progress == 100 else None,
            campaign_name=f"App campaign {campaign}",
            task_name=f"Task {task}",
            task_deadline=START + timedelta(days=2),
            has_campaign=True,
        )

    def an_account(self, number: int) -> None:
        self.put(
            "salesforce_accounts",
            account_id=f"A{number}",
            account_name=f"Account {number}",
            segment=self.some(["Small", "Large"]),
            created_at=START - timedelta(days=60),
            system_modstamp=self.now,
        )
        self.put(
            "salesforce_contacts",
            contact_id=f"K{number}",
            account_id=f"A{number}",
            full_name=f"Contact {self.batch}",
            created_at=START - timedelta(days=60),
            system_modstamp=self.now,
        )

    def a_deal(self) -> None:
        number, amount = self.chance.randint(0, 25), money(self.chance.randint(1_000, 90_000))
        stage = self.some(["Proposal", "Closed Won", "Closed Lost"])
        self.put(
            "salesforce_opportunities",
            opportunity_id=f"D{number}",
            account_id=self.some([f"A{self.chance.randint(0, 9)}", None]),
            stage=stage,
            owner_id="uma",
            amount=amount,
            currency="EUR",
            probability=50.0,
            close_date=self.moment(20).date(),
            is_closed=stage != "Proposal",
            is_won=stage == "Closed Won",
            created_at=self.moment(40),
            system_modstamp=self.now,
        )
        if self.happens(0.8):
            self.put("opportunity_amounts", opportunity_id=f"D{number}", amount_usd=amount * 2)

    def a_lead(self) -> None:
        number, is_converted = self.chance.randint(0, 20), self.happens(0.3)
        self.put(
            "salesforce_leads",
            lead_id=f"L{number}",
            status="Closed - Converted" if is_converted else "Working - Contacted",
            lead_source=self.some(["Web", "Web", "Phone", None]),
            is_converted=is_converted,
            converted_date=self.now.date() if is_converted else None,
            converted_account_id=f"A{number % 10}" if is_converted else None,
            converted_contact_id=f"K{number % 10}" if is_converted else None,
            converted_opportunity_id=f"D{number}" if is_converted else None,
            created_at=self.moment(20),
            system_modstamp=self.now,
        )

    def something_is_gone(self) -> None:
        for table in (
            "orders",
            "payments",
            "ad_performance",
            "user_campaign_progress",
            "salesforce_leads",
            "salesforce_opportunities",
            "opportunity_amounts",
            "snowflake_financial_transactions",
            "customer_identities",
        ):
            if self.happens(0.25):
                row = self.some(self.live(table))
                self.delete(table, tuple(row[name] for name in KEYS[table]))


def session_of(visitor: str, events: list[Row]) -> Row:
    def count(kind: str) -> int:
        return sum(event["event_type"] == kind for event in events)

    first = events[0]
    return {
        "visitor_id": visitor,
        "user_id": first["user_id"],
        "started_at": first["event_time"],
        "ended_at": events[-1]["event_time"],
        "events": len(events),
        "page_views": count("page_view"),
        "product_views": count("product_view"),
        "cart_additions": count("add_to_cart"),
        "checkouts": count("checkout_started"),
        "purchases": count("purchase"),
        "value_usd": sum((event["value"] or Decimal(0) for event in events), Decimal(0)),
        "device_type": first["device_type"],
        "country": first["country"],
        "utm_source": first["utm_source"],
        "utm_medium": None,
        "utm_campaign": first["utm_campaign"],
        "is_bot": False,
    }


def day(number: int) -> date:
    return (START + timedelta(days=number)).date()
