"""Two days of the company's databases, warehouse and app, from each source to silver, against what each holds.

Each table's silver is what its source says, cleaned; said here a second time, in Python.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load
from data_platform.declarations import Column, Normalise, SourceTable
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.silver.step import refine
from data_platform.sources.clevertap import CLEVERTAP_EVENTS
from data_platform.sources.mysql import SUBSCRIPTIONS
from data_platform.sources.postgres import CUSTOMERS, PAYMENTS
from data_platform.sources.snowflake import CUSTOMER_ORDERS, FINANCIAL_TRANSACTIONS, PRODUCT_CATALOG
from sandbox.clevertap.server import CleverTapServer
from sandbox.mysql.app import Application
from sandbox.mysql.server import MySQLServer
from sandbox.postgres.server import PostgresServer
from sandbox.postgres.shop import ShopDatabase
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.warehouse import RawData
from sandbox.world.company import Sizes, World
from sandbox.world.engagement import EVENTS, EngagementWorld
from sandbox.world.shop import Shop, Unheld
from sandbox.world.subscriptions import MOST_UNSIGNED, NO_DATE, NO_MOMENT

DAYS = (0, 1)
HISTORY = timedelta(days=10)
MOST_SIGNED = 2**63 - 1
# Of a number with more digits than its column the nearest is kept beside the whole of it in `_rescued`.
TOO_FINE = Unheld("10.12345")
TABLES = (
    CUSTOMERS,
    PAYMENTS,
    SUBSCRIPTIONS,
    CUSTOMER_ORDERS,
    PRODUCT_CATALOG,
    FINANCIAL_TRANSACTIONS,
    CLEVERTAP_EVENTS,
)
Row = dict[str, Any]
Judge = Callable[[Row], bool]
# Which rows break which error rule.
ERRORS: Mapping[str, Mapping[str, Judge]] = {
    "customers": {
        "email_is_email": lambda row: row["email"] is not None and not is_address(row["email"].strip())
    },
    "payments": {
        "customer_id_not_null": lambda row: row["customer_id"] is None,
        "amount_between": lambda row: row["amount"] < 0,
    },
    "subscriptions": {"price_at_least": lambda row: row["price"] < 0},
    "customer_orders": {
        "customer_id_not_null": lambda row: row["customer_id"] is None,
        "amount_at_least": lambda row: row["amount"] < 0,
        "order_date_not_before": lambda row: row["order_date"] < date(2000, 1, 1),
    },
    "product_catalog": {"price_at_least": lambda row: row["price"] == 0},
    "financial_transactions": {},
    "clevertap_events": {},
}


def is_address(text: str) -> bool:
    return re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text) is not None


@dataclass(frozen=True)
class Day:
    """What a source held of a table, and what silver and its quarantine held after it."""

    truth: dict[Any, Row]
    silver: list[Row]
    quarantine: list[Row]


@dataclass
class Company:
    """The sources, and what was held of each table at the end of each day."""

    truths: dict[str, Callable[[], dict[Any, Row]]]
    days: dict[tuple[int, str], Day] = field(default_factory=dict)


@pytest.fixture(scope="module")
def company(tmp_path_factory, spark) -> Iterator[Company]:
    world = World(sizes=Sizes(accounts=30, contacts=400, leads=20, opportunities=20))
    people = EngagementWorld(people=60, now=world.now)
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        mysql = stack.enter_context(MySQLServer())
        snowflake = stack.enter_context(SnowflakeServer())
        clevertap = stack.enter_context(CleverTapServer(people, computing=0))
        shop = ShopDatabase(postgres, Shop(world))
        shop.fill()
        application, data = Application(mysql, world), RawData(snowflake, world)
        given = [each.settings() for each in (postgres, mysql, snowflake, clevertap)]
        settings = Settings(
            _env_file=None,
            data_platform_home=tmp_path_factory.mktemp("home"),
            window_history=HISTORY,
            **{name.lower(): value for each in given for name, value in each.items()},
        )
        company = Company(
            {
                "customers": lambda: shop.shop.rows["customers"],
                "payments": lambda: shop.shop.rows["payments"],
                "subscriptions": application.truth,
                "customer_orders": lambda: data.truth("customer_orders"),
                "product_catalog": lambda: data.truth("product_catalog"),
                "financial_transactions": lambda: data.truth("financial_transactions"),
                "clevertap_events": lambda: events(people, world.now.date() - timedelta(days=1) - HISTORY),
            }
        )
        lake = lake_of(settings)
        for day in DAYS:
            if day:
                shop.live_a_day()
                application.advance()
                data.advance()
                people.advance()
            for table in TABLES:
                truth = {key: dict(row) for key, row in company.truths[table.name]().items()}
                assert load(table, connector_for(table, settings), lake, 500).receipt.adds_up
                refine(lambda: spark, table, lake)
                held = (lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name))
                rows = [each.query("select * from held").to_pylist() if each.exists else [] for each in held]
                company.days[day, table.name] = Day(truth, *rows)
        yield company


def events(people: EngagementWorld, first: date) -> dict[Any, Row]:
    """Each event by what tells it from others."""
    last = people.now.date() - timedelta(days=1)
    found = {}
    for name in EVENTS:
        for record in people.events(name, first + timedelta(days=1), last):
            found[record["profile"]["identity"], name, record["ts"]] = {
                "identity": record["profile"]["identity"],
                "event": name,
                "ts": record["ts"],
            }
    return found


each_day = pytest.mark.parametrize("day", DAYS)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def conformed(table: SourceTable, row: Row) -> Row:
    """A row of the source as silver should write it, where the source has the column."""
    return {
        column.silver_name: as_written(row[column.name], column)
        for column in table.columns
        if column.silver_name and column.name in row
    }


def as_written(value: Any, column: Column) -> Any:
    if value == TOO_FINE:
        return Decimal("10.12")
    if value is None or is_beyond(value, column):
        return None
    match column.type.kind:
        case "json":
            return json.loads(value) if isinstance(value, str) else json.loads(json.dumps(value))
        case "boolean":
            return bool(value)
        case "date" | "timestamp" if isinstance(value, str):
            raise AssertionError(f"{value} is no moment")
    if not isinstance(value, str):
        return value
    if column.normalise is Normalise.LOWER:
        value = value.lower()
    if column.normalise is Normalise.PHONE:
        value = re.sub(r"[\s().-]", "", value)
    return value.strip(" ")


def is_beyond(value: Any, column: Column) -> bool:
    """What no type of the lake holds is rescued, and its column is empty."""
    if value in (NO_DATE, NO_MOMENT) or isinstance(value, Unheld):
        return True
    if column.type.kind == "bigint":
        return value > MOST_SIGNED or value == MOST_UNSIGNED
    return column.type.kind == "boolean" and value not in (True, False)


def key_of(table: SourceTable, row: Row) -> Any:
    values = tuple(row[name] for name in table.silver_key)
    return values if len(values) > 1 else values[0]


def broken(table: SourceTable, row: Row) -> list[str]:
    return [rule for rule, breaks in ERRORS[table.name].items() if breaks(row)]


def in_silver(value: Any, column: Column) -> Any:
    if column.type.kind == "json" and value is not None:
        return json.loads(value)
    return value


@each_day
@each_table
def test_silver_holds_what_the_source_does(company, table, day):
    held = company.days[day, table.name]
    columns = {column.silver_name: column for column in table.columns if column.silver_name}
    expected = {key: conformed(table, row) for key, row in held.truth.items() if not broken(table, row)}
    live = {key_of(table, row): row for row in held.silver if not row["is_deleted"]}
    # What is deleted without a trace is found by the daily comparison of keys.
    known = company.days[0, table.name].truth.keys() if table is SUBSCRIPTIONS else set()
    assert live.keys() - (known - held.truth.keys()) == expected.keys()
    for key, row in expected.items():
        assert {name: in_silver(live[key][name], columns[name]) for name in row} == row


@each_day
@each_table
def test_rows_that_break_a_rule_wait_in_quarantine_and_no_others(company, table, day):
    held = company.days[day, table.name]
    found = {key_of(table, row): row["_reasons"] for row in held.quarantine}
    expected = {key: broken(table, row) for key, row in held.truth.items() if broken(table, row)}
    assert found == expected
