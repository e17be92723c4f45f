"""The shape of a declaration carries every source that the company has, not only those landed so far."""

from dataclasses import replace

import pyarrow as pa
import pytest

from data_platform.declarations import (
    BINARY,
    DAILY,
    DECIMAL,
    DOUBLE,
    HOURLY,
    LIST,
    ON_CHANGE,
    STRING,
    STRUCT,
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
    one_of,
    years,
)
from data_platform.lake.schema import arrow_type, bronze_schema
from data_platform.silver.rules import condition
from data_platform.sources import (
    clevertap,
    dynamodb,
    facebook,
    google,
    kafka,
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


# No table of ours has these shapes inside; one may.
SHAPES = declared(
    "shapes",
    "orders",
    "orders",
    ("event_id",),
    key("event_id"),
    Column(
        "items",
        LIST(
            STRUCT(
                Column("sku", STRING), Column("price", MONEY, sensitive=True), Column("tags", LIST(STRING))
            )
        ),
        sensitive=True,
    ),
    Column(
        "place",
        STRUCT(
            Column("latitude", DOUBLE, personal=Personal.LOCATION),
            Column("longitude", DOUBLE, personal=Personal.LOCATION),
        ),
        personal=Personal.LOCATION,
    ),
    Column("payload", BINARY),
    Column("token", STRING, personal=Personal.CARD, mask=Mask.TOKEN),
    Column("last_four", STRING, personal=Personal.CARD, erase=Erase.NULL),
    load=Stream(order="offset"),
    every=ON_CHANGE,
)


@pytest.mark.parametrize("table", (*TABLES, SHAPES), ids=lambda table: table.silver_name)
def test_every_source_of_the_company_can_be_declared(table):
    held = bronze_schema(table)
    assert held.names[: len(table.columns)] == [column.name for column in table.columns]
    is_stream = isinstance(table.load, Stream)
    assert held.names[len(table.columns) :] == [
        "_batch",
        "_landed_at",
        *(["_landed_on"] if is_stream else []),
        "_op",
        "_origin",
        "_rescued",
        *(["_order"] if is_stream else []),
        *(["_message_key", "_sent_at", "_headers"] if is_stream and table.load.messages else []),
    ]
    assert len(table.silver_key) == len(table.key)
    assert all(column.treatment for column in table.personal_columns)
    for _, rule, column in table.every_rule:
        assert "{" not in condition(table, rule, column)


def test_inner_shapes_are_held_as_they_are_declared():
    (items,) = (column for column in SHAPES.columns if column.name == "items")
    item = pa.struct([("sku", pa.string()), ("price", pa.decimal128(18, 2)), ("tags", pa.list_(pa.string()))])
    assert arrow_type(items.type) == pa.list_(item)
    assert str(items.type) == "array<struct<sku:string,price:decimal(18,2),tags:array<string>>>"


def test_a_table_is_found_by_any_of_its_names():
    for name in ("salesforce.leads", "salesforce/leads", "bronze/salesforce/leads"):
        assert table_named(name) is salesforce.LEADS
    with pytest.raises(
        LookupError, match=r"there is no table 'salesforce.lead'; declared are salesforce.leads, "
    ):
        table_named("salesforce.lead")


def test_the_catalogue_holds_what_each_system_declares():
    systems = (
        clevertap,
        dynamodb,
        facebook,
        google,
        kafka,
        mysql,
        postgres,
        rest_api,
        salesforce,
        snowflake,
    )
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


def test_what_the_company_promises_of_its_topics_is_declared():
    promised = {
        table.name: (table.every, table.keep_for, table.key, table.restricted) for table in kafka.TABLES
    }
    assert promised == {
        "user_events": (ON_CHANGE, years(3), ("event_id",), True),
        "order_events": (ON_CHANGE, years(7), ("event_id",), False),
        "inventory_updates": (ON_CHANGE, years(3), ("event_id",), False),
        "card_transactions": (ON_CHANGE, years(10), ("event_id",), True),
    }
    (cards,) = (table for table in kafka.TABLES if table.name == "card_transactions")
    made_of_the_number = {column.name: column.lands.by for column in cards.columns if column.lands}
    assert made_of_the_number == {"card_token": Mask.TOKEN, "card_last_four": Mask.LAST_FOUR}
    assert "card_number" not in cards.by_name


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
