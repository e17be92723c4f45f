"""The shape of a declaration carries every source that the company has, not only those landed so far."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from data_platform.declarations import (
    BINARY,
    DAILY,
    DECIMAL,
    DOUBLE,
    HOURLY,
    INTEGER,
    JSON,
    LIST,
    ON_CHANGE,
    STRING,
    STRUCT,
    TIMESTAMP,
    WARN,
    Column,
    DeclarationError,
    Entries,
    Erase,
    Mask,
    Normalise,
    Personal,
    Snapshot,
    SourceTable,
    Stream,
    at_least,
    catalogue,
    holds,
    not_ahead,
    one_of,
    years,
)
from data_platform.lake.schema import arrow_type, bronze_schema
from data_platform.silver.rules import condition
from data_platform.sources import (
    clevertap,
    facebook,
    google,
    mysql,
    postgres,
    rest_api,
    salesforce,
    snowflake,
)
from data_platform.sources.catalogue import TABLES, table_named

MONEY = DECIMAL(18, 2)
CURRENCY = Column("currency", STRING, normalise=Normalise.UPPER, rule=one_of("EUR", "USD", "GBP"))


def declared(
    system: str, name: str, reads: str, key: tuple[str, ...], *columns: Column, **said
) -> SourceTable:
    usual = {"owner": "team:data", "every": DAILY, "keep_for": years(3), "description": f"Sketch of {name}."}
    return SourceTable(system=system, name=name, reads=reads, key=key, columns=columns, **(usual | said))


def key(name: str, personal: Personal | None = None, type_=STRING) -> Column:
    return Column(name, type_, required=True, personal=personal)


USER_EVENTS = declared(
    "kafka",
    "user_events",
    "user_events",
    ("event_id",),
    key("event_id"),
    Column("user_id", STRING, personal=Personal.USER),
    Column("device_id", STRING, personal=Personal.DEVICE),
    Column("ip", STRING, personal=Personal.IP),
    Column("event_time", TIMESTAMP, rule=not_ahead(timedelta(minutes=5))),
    Column("properties", JSON, personal=Personal.FREE_TEXT),
    load=Stream(order="offset"),
    every=ON_CHANGE,
    restricted=True,
)
ORDER_EVENTS = declared(
    "kafka",
    "order_events",
    "order_events",
    ("event_id",),
    key("event_id"),
    Column(
        "items",
        LIST(
            STRUCT(Column("sku", STRING), Column("quantity", INTEGER), Column("price", MONEY, sensitive=True))
        ),
        sensitive=True,
    ),
    load=Stream(order="offset"),
    every=ON_CHANGE,
    keep_for=years(7),
)
INVENTORY_UPDATES = declared(
    "kafka",
    "inventory_updates",
    "inventory_updates",
    ("event_id",),
    key("event_id"),
    Column("warehouse", STRING),
    Column("payload", BINARY),
    load=Stream(order="offset"),
    every=ON_CHANGE,
)
CARD_TRANSACTIONS = declared(
    "kafka",
    "card_transactions",
    "card_transactions",
    ("event_id",),
    key("event_id"),
    Column("card_token", STRING, personal=Personal.CARD, mask=Mask.TOKEN),
    Column("card_last_four", STRING, personal=Personal.CARD, erase=Erase.NULL),
    Column("amount", MONEY, sensitive=True, rule=at_least(0)),
    Column(
        "place",
        STRUCT(
            Column("latitude", DOUBLE, personal=Personal.LOCATION),
            Column("longitude", DOUBLE, personal=Personal.LOCATION),
        ),
        personal=Personal.LOCATION,
    ),
    load=Stream(order="offset"),
    every=ON_CHANGE,
    keep_for=years(10),
    restricted=True,
)
USER_CAMPAIGN = declared(
    "dynamodb",
    "user_campaign",
    "user_Campaign",
    ("userID", "campaignID"),
    key("userID", Personal.USER),
    key("campaignID"),
    Column("createdAt", TIMESTAMP),
    Column(
        "progressDetails",
        LIST(STRUCT(Column("taskID", STRING), Column("progress", DOUBLE), Column("tags", LIST(STRING)))),
    ),
    load=Stream(order="sequence_number"),
    every=ON_CHANGE,
)
CAMPAIGN_INFO = declared(
    "dynamodb",
    "campaign_info",
    "campaignInfo",
    ("campaignID", "taskID"),
    key("campaignID"),
    key("taskID"),
    Column("createdAt", TIMESTAMP),
    Column("taskDeadline", TIMESTAMP),
    load=Stream(order="sequence_number"),
    every=HOURLY,
    rules=(
        holds("deadline_after_creation", "{taskDeadline} > {createdAt}", "is due after it was made", WARN),
    ),
)
SKETCHES = catalogue(
    salesforce.TABLES,
    rest_api.TABLES,
    snowflake.TABLES,
    (USER_EVENTS, ORDER_EVENTS, INVENTORY_UPDATES, CARD_TRANSACTIONS, USER_CAMPAIGN, CAMPAIGN_INFO),
    facebook.TABLES,
    google.TABLES,
    clevertap.TABLES,
    postgres.TABLES,
    mysql.TABLES,
)


@pytest.mark.parametrize("table", SKETCHES, ids=lambda table: table.silver_name)
def test_every_source_of_the_company_can_be_declared(table):
    held = bronze_schema(table)
    assert held.names[: len(table.columns)] == [column.name for column in table.columns]
    in_order = ["_order"] if isinstance(table.load, Stream) else []
    assert held.names[len(table.columns) :] == [
        "_batch",
        "_landed_at",
        "_op",
        "_origin",
        "_rescued",
        *in_order,
    ]
    assert len(table.silver_key) == len(table.key)
    assert all(column.treatment for column in table.personal_columns)
    for _, rule, column in table.every_rule:
        assert "{" not in condition(table, rule, column)


def test_inner_shapes_are_held_as_they_are_declared():
    (tasks,) = (column for column in USER_CAMPAIGN.columns if column.name == "progressDetails")
    task = pa.struct([("taskID", pa.string()), ("progress", pa.float64()), ("tags", pa.list_(pa.string()))])
    assert arrow_type(tasks.type) == pa.list_(task)
    assert str(tasks.type) == "array<struct<taskID:string,progress:double,tags:array<string>>>"


def test_a_table_is_found_by_any_of_its_names():
    for name in ("salesforce.leads", "salesforce/leads", "bronze/salesforce/leads"):
        assert table_named(name) is salesforce.LEADS
    with pytest.raises(
        LookupError, match=r"there is no table 'salesforce.lead'; declared are salesforce.leads, "
    ):
        table_named("salesforce.lead")


def test_the_catalogue_holds_what_each_system_declares():
    systems = (clevertap, facebook, google, mysql, postgres, rest_api, salesforce, snowflake)
    declared = {(table.system, table.name): table for system in systems for table in system.TABLES}
    assert {(table.system, table.name): table for table in TABLES} == declared


def test_what_the_company_promises_of_its_databases_is_declared():
    promised = {
        table.name: (table.every, table.keep_for, table.key) for table in (*mysql.TABLES, *snowflake.TABLES)
    }
    assert promised == {
        "subscriptions": (HOURLY, years(7), ("subscription_id",)),
        "customer_orders": (HOURLY, years(7), ("order_id",)),
        "product_catalog": (DAILY, years(7), ("product_id",)),
        "financial_transactions": (HOURLY, years(10), ("transaction_id",)),
    }
    assert [table.name for table in snowflake.TABLES if table.restricted] == ["financial_transactions"]


def test_what_the_company_promises_of_salesforce_is_declared():
    promised = {table.name: (table.every, table.keep_for, table.key) for table in salesforce.TABLES}
    assert promised == {
        "leads": (HOURLY, years(7), ("Id",)),
        "opportunities": (HOURLY, years(7), ("Id",)),
        "accounts": (DAILY, years(7), ("Id",)),
        "contacts": (DAILY, years(7), ("Id",)),
    }
    assert all(table.restricted for table in salesforce.TABLES)


def test_a_table_that_files_hold_as_well_says_where_and_a_wrong_place_is_refused():
    prefixes = {table.reads: table.files.prefix for table in salesforce.TABLES}
    assert prefixes == {
        name: f"raw/salesforce/{name}/" for name in ("Lead", "Opportunity", "Account", "Contact")
    }
    with pytest.raises(DeclarationError, match=r"must be a folder below LANDING_URI"):
        Snapshot(prefix="raw/salesforce/Account")
    with pytest.raises(DeclarationError, match=r"its mark of deletion 'Deleted' is not a column"):
        replace(salesforce.ACCOUNTS, files=Snapshot(prefix="raw/x/", deleted="Deleted"))
    with pytest.raises(DeclarationError, match=r"its entry 'name' is not a column"):
        replace(
            rest_api.EXCHANGE_RATES, load=Snapshot(prefix="raw/x/", entries=Entries("rates", "name", "rate"))
        )
