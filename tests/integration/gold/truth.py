"""The truth of gold's facts, made in plain Python from the company's tables and the histories of its records."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tests.integration.gold.company import Company, Row
from tests.integration.gold.history import History, Version

UNKNOWN = ("(unknown)", 0)


def customers() -> History:
    return History("customer_id", ("email", "country", "tier"), "first_seen_at", "updated_at")


def products() -> History:
    return History("product_id", ("category", "price"), "", "updated_at")


def accounts() -> History:
    return History("account_id", ("segment",), "created_at", "system_modstamp")


@dataclass
class Truth:
    """What gold must hold after builds that followed each commit of the company."""

    company: Company
    customers: History = field(default_factory=customers)
    products: History = field(default_factory=products)
    accounts: History = field(default_factory=accounts)

    def look(self) -> None:
        self.customers.look(list(self.company.rows["customers"].values()))
        self.products.look(list(self.company.rows["products"].values()))
        self.accounts.look(list(self.company.rows["salesforce_accounts"].values()))

    def customer(self, shop_number: str | None, moment: datetime | None) -> tuple[str, int]:
        identity = self.company.rows["customer_identities"].get(("shop", shop_number))
        if identity is None or identity["is_deleted"]:
            return UNKNOWN
        return named(self.customers.at(identity["customer_id"], moment))

    def product(self, product_id: str | None, moment: datetime | None) -> tuple[str, int]:
        return named(self.products.at(product_id, moment))

    def orders(self) -> list[Row]:
        return [self._order(row) for row in self.company.rows["orders"].values()]

    def _order(self, row: Row) -> Row:
        ordered = row["placed_at"] or midnight(row["order_date"])
        is_undone = row["status"] in ("cancelled", "returned")
        return row | {
            "ordered_at": ordered,
            "customer": self.customer(row["customer_id"], ordered),
            "product": self.product(row["product_id"], ordered),
            "is_undone": is_undone,
            "revenue_usd": Decimal(0) if is_undone else row["amount_usd"],
        }

    def payments(self) -> list[Row]:
        return [
            row
            | {
                "customer": self.customer(row["customer_id"], row["paid_at"]),
                "received_usd": -row["amount_usd"] if row["is_refund"] else row["amount_usd"],
            }
            for row in self.company.rows["payments"].values()
        ]

    def transactions(self) -> list[Row]:
        orders = {row["order_id"]: row for row in self.orders()}
        states = self.company.rows["order_reconciliation"]
        nothing = {"customer": UNKNOWN, "product": UNKNOWN}
        return [
            row
            | {name: orders.get(row["order_id"], nothing)[name] for name in nothing}
            | {"state": states[row["order_id"],]["state"]}
            for row in self.company.rows["snowflake_financial_transactions"].values()
        ]

    def levels(self) -> list[Row]:
        """A row for each product, warehouse and day of which anything was ever told."""
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.company.rows["kafka_inventory_updates"].values():
            key = (row["product_id"], row["warehouse_id"], row["event_time"].date())
            groups.setdefault(key, []).append(row)
        return [self._level(*key, rows) for key, rows in groups.items()]

    def _level(self, product_id: str, warehouse: str, on: Any, rows: list[Row]) -> Row:
        live = [row for row in rows if not row["is_deleted"]]
        last = max(live, key=lambda row: (row["event_time"], row["event_id"]), default=None)
        return {
            "product_id": product_id,
            "warehouse_id": warehouse,
            "level_date": on,
            "product": self.product(product_id, midnight(on) + timedelta(days=1)),
            "quantity_on_hand": last and last["quantity_on_hand"],
            "quantity_change": sum(row["quantity_change"] for row in live),
            "updates": len(live),
            "is_deleted": not live,
        }

    def campaigns(self) -> set[tuple[str, str]]:
        ads = {(row["platform"], row["campaign_id"]) for row in self.company.live("ad_performance")}
        app = {("app", row["campaign_id"]) for row in self.company.live("dynamodb_campaign_info")}
        return ads | app

    def sessions(self) -> list[Row]:
        known = self.campaigns()
        made = []
        for row in self.company.rows["user_sessions"].values():
            campaign = (row["utm_source"], row["utm_campaign"])
            customer = self.customer(row["user_id"], row["started_at"])
            made.append(
                row
                | {
                    "customer": customer,
                    "campaign": campaign if campaign in known else ("(unknown)",) * 2,
                    "session_date": row["started_at"].date(),
                }
            )
        return made

    def events(self) -> list[Row]:
        sessions: dict[str, list[Row]] = {}
        for session in self.company.live("user_sessions"):
            sessions.setdefault(session["visitor_id"], []).append(session)
        return [self._event(row, sessions) for row in self.company.rows["kafka_user_events"].values()]

    def _event(self, row: Row, sessions: dict[str, list[Row]]) -> Row:
        visitor, moment = row["user_id"] or row["anonymous_id"], row["event_time"]
        own = [
            each["started_at"]
            for each in sessions.get(visitor, [])
            if each["started_at"] <= moment <= each["ended_at"]
        ]
        return row | {
            "session": own[0] if own and not row["is_deleted"] else None,
            "customer": self.customer(row["user_id"], moment),
            "product": self.product(row["product_id"], moment),
        }

    def progress(self) -> list[Row]:
        known = self.campaigns()
        return [
            row
            | {
                "customer": self.customer(row["user_id"], row["created_at"]),
                "knows_campaign": ("app", row["campaign_id"]) in known,
                "is_completed": row["progress"] >= 100,
            }
            for row in self.company.rows["user_campaign_progress"].values()
        ]

    def deals(self) -> list[Row]:
        amounts = {
            row["opportunity_id"]: row["amount_usd"] for row in self.company.live("opportunity_amounts")
        }
        return [
            row
            | {
                "account": named(self.accounts.at(row["account_id"], row["created_at"])),
                "amount_usd": amounts.get(row["opportunity_id"]),
            }
            for row in self.company.rows["salesforce_opportunities"].values()
        ]


def named(version: Version | None) -> tuple[str, int]:
    return (version.record, version.number) if version else UNKNOWN


def midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), UTC)
