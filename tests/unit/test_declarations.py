"""A declaration that would do harm later is refused when it is built, in words that say what to write instead."""

import re
from dataclasses import FrozenInstanceError, replace
from datetime import date, timedelta

import pytest

from data_platform.declarations import (
    DAILY,
    DATE,
    DECIMAL,
    DOUBLE,
    ERROR,
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
    Concealed,
    DeclarationError,
    Dimension,
    Erase,
    Incremental,
    Lag,
    Mask,
    Messages,
    Personal,
    Rule,
    Severity,
    SourceTable,
    Stream,
    Treatment,
    Window,
    at_least,
    catalogue,
    days,
    holds,
    is_email,
    not_null,
    snake_case,
    years,
)

ID = Column("Id", STRING, required=True)
CHANGED = Column("ChangedAt", TIMESTAMP, required=True)


def table(**said) -> SourceTable:
    usual = {
        "system": "shop",
        "name": "orders",
        "reads": "Order",
        "key": ("Id",),
        "load": Incremental(cursor="ChangedAt", overlap=timedelta(minutes=10)),
        "every": DAILY,
        "owner": "team:sales",
        "keep_for": years(7),
        "columns": (ID, CHANGED),
        "description": "What customers ordered.",
    }
    return SourceTable(**(usual | said))


def with_columns(*columns: Column) -> SourceTable:
    return table(columns=(ID, CHANGED, *columns))


REFUSED = {
    "an unknown rule on a column": (
        lambda: Column("Amount", DOUBLE, rule="positive"),
        "column Amount: unknown rule 'positive'; write one of not_null, at_least",
    ),
    "an unknown rule on a table": (
        lambda: table(rules=("unique",)),
        "table shop.orders: unknown rule 'unique'; write holds(…)",
    ),
    "a rule over a column that is not there": (
        lambda: table(rules=(holds("paid_has_date", "{Paid} is null", "is paid"),)),
        "table shop.orders: its rule paid_has_date's 'Paid' is not a column; declared are Id, ChangedAt",
    ),
    "a rule over a column that silver does not see": (
        lambda: table(
            columns=(ID, CHANGED, Column("Raw", STRING, silver="")),
            rules=(holds("raw_is_short", "length({Raw}) < 9", "is short"),),
        ),
        "rule raw_is_short names Raw, which stays in bronze, where none is judged",
    ),
    "two rules of one name on a column": (
        lambda: with_columns(Column("Amount", DOUBLE, rule=(at_least(0), at_least(1)))),
        "rule amount_at_least is declared twice on one column; keep one",
    ),
    "a rule on a column that stays in bronze": (
        lambda: with_columns(Column("Amount", DOUBLE, silver="", rule=at_least(0))),
        "column Amount has a rule but stays in bronze, where none is judged",
    ),
    "a cursor that is not a column": (
        lambda: table(load=Incremental(cursor="updated_at", overlap=timedelta(minutes=1))),
        "its cursor 'updated_at' is not a column; declared are Id, ChangedAt",
    ),
    "a cursor without an order": (
        lambda: table(load=Incremental(cursor="Id", overlap=timedelta(minutes=1))),
        "cursor Id is a string, which has no order to follow; use a timestamp",
    ),
    "a cursor that silver does not see": (
        lambda: table(columns=(ID, Column("ChangedAt", TIMESTAMP, silver=""))),
        "cursor ChangedAt must go to silver, which keeps the newest by it; drop silver=''",
    ),
    "an overlap of zero": (
        lambda: Incremental(cursor="ChangedAt", overlap=timedelta(0)),
        "Incremental(cursor='ChangedAt') needs an overlap above zero",
    ),
    "a day that is not a column": (
        lambda: table(load=Window(day="date", restated=days(28))),
        "its day 'date' is not a column",
    ),
    "no key": (lambda: table(key=()), "it has no key; silver can't tell one row from another without one"),
    "a key that is not a column": (lambda: table(key=("id",)), "its key 'id' is not a column"),
    "a key that may be missing": (
        lambda: table(columns=(Column("Id", STRING), CHANGED)),
        "key Id is not required, and rows without it are never merged; add required=True",
    ),
    "a key that silver does not see": (
        lambda: table(columns=(Column("Id", STRING, required=True, silver="", rule=()), CHANGED)),
        "key Id must go to silver; drop silver=''",
    ),
    "no columns": (lambda: table(columns=()), "it has no columns; list what is landed"),
    "a column declared twice": (
        lambda: with_columns(Column("Id", STRING, silver="other")),
        "column Id is declared twice; keep one, or rename one",
    ),
    "columns that differ in case alone": (
        lambda: with_columns(Column("ID", STRING, silver="other")),
        "column ID, Id is declared twice; keep one, or rename one",
    ),
    "a silver name declared twice": (
        lambda: with_columns(Column("ID__c", STRING)),
        "silver name id is declared twice; keep one, or rename one",
    ),
    "a silver name of the platform's own": (
        lambda: with_columns(Column("Deleted", STRING, silver="is_deleted")),
        "silver name is_deleted belongs to the platform, which writes it itself; rename it",
    ),
    "a column of the platform's own": (
        lambda: with_columns(Column("_batch", INTEGER)),
        "column _batch belongs to the platform, which writes it itself; rename it",
    ),
    "a silver name in another case": (
        lambda: Column("OwnerId", STRING, silver="OwnerId"),
        "column OwnerId: its silver name 'OwnerId' is not snake_case; write silver='owner_id'",
    ),
    "a vendor's name that makes no silver name": (
        lambda: Column("metrics.cost_micros", INTEGER),
        "column metrics.cost_micros: its silver name 'metrics.cost_micros' is not snake_case; "
        "write silver='metrics_cost_micros'",
    ),
    "a table name that is no folder": (
        lambda: table(name="Order Items"),
        "'Order Items' is not snake_case, and it becomes a folder and an asset key; rename it",
    ),
    "an owner that Dagster refuses": (
        lambda: table(owner="sales"),
        "owner 'sales' is neither team:<name> nor an email; Dagster takes only those",
    ),
    "a column both declared and ignored": (
        lambda: table(ignores=("Id",)),
        "Id is both declared and ignored; take it out of one",
    ),
    "a kind of personal value that nobody knows": (
        lambda: Column("Passport", STRING, personal="passport"),
        "column Passport: no way is known to mask and erase 'passport'; use one of Personal.EMAIL",
    ),
    "a mask that does not fit the type": (
        lambda: Column("CustomerNo", INTEGER, personal=Personal.CUSTOMER),
        "column CustomerNo is personal, but a bigint can't be masked by token; add mask=Mask.REDACTED",
    ),
    "erasing what has to be there": (
        lambda: Column("Email", STRING, required=True, personal=Personal.EMAIL),
        "column Email is personal and required, so erasing it by null would break the row; add erase=Erase.TOKEN",
    ),
    "a mask for what is not personal": (
        lambda: Column("Colour", STRING, mask=Mask.REDACTED),
        "column Colour says how to mask or erase it, but not what kind of personal value it is; "
        "add personal=Personal.…",
    ),
    "a personal value inside a column that is not": (
        lambda: Column("contact", STRUCT(Column("email", STRING, personal=Personal.EMAIL))),
        "column contact holds the personal email, which is masked and erased with the whole column; "
        "add personal=Personal.…",
    ),
    "a decimal that can't be stored": (
        lambda: DECIMAL(39, 2),
        "DECIMAL(39, 2) can't be stored: precision goes from 1 to 38",
    ),
    "a scale beyond the precision": (lambda: DECIMAL(4, 5), "DECIMAL(4, 5) can't be stored"),
    "two tables of one name": (
        lambda: catalogue((table(),), (table(reads="Orders"),)),
        "table shop.orders is declared twice; both would write the same folder: rename one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_do_harm_is_refused_with_what_to_write_instead(case):
    declare, says = REFUSED[case]
    with pytest.raises(DeclarationError, match=re.escape(says)):
        declare()


def test_a_declaration_stays_as_it_was_built():
    with pytest.raises(FrozenInstanceError):
        table().name = "other"
    with pytest.raises(DeclarationError, match="its key 'other' is not a column"):
        replace(table(), key=("other",))


@pytest.mark.parametrize("kind", Personal)
def test_every_kind_of_personal_value_can_be_masked_and_erased(kind):
    column = Column("Value", STRING, personal=kind)
    assert isinstance(column.treatment, Treatment)
    assert column.classification == f"personal:{kind.value}"


def test_a_column_may_say_how_it_is_masked_and_erased():
    column = Column("Email", STRING, personal=Personal.EMAIL, mask=Mask.REDACTED, erase=Erase.TOKEN)
    assert column.treatment == Treatment(Mask.REDACTED, Erase.TOKEN)
    with pytest.raises(DeclarationError, match="column Colour is not personal"):
        _ = Column("Colour", STRING).treatment


def test_classification_follows_from_what_a_column_says():
    assert Column("Revenue", DOUBLE, sensitive=True).classification == "sensitive"
    assert Column("Colour", STRING).classification == "internal"


@pytest.mark.parametrize(
    ("vendor", "silver"),
    [
        ("BillingPostalCode", "billing_postal_code"),
        ("Segment__c", "segment"),
        ("userID", "user_id"),
        ("HTTPStatus", "http_status"),
        ("updated_at", "updated_at"),
        ("ad-id", "ad_id"),
    ],
)
def test_a_silver_name_is_the_snake_case_of_the_vendors(vendor, silver):
    assert snake_case(vendor) == silver
    assert Column(vendor, STRING).silver_name == silver


def test_a_column_may_be_renamed_or_left_in_bronze():
    assert Column("Id", STRING, silver="order_id").silver_name == "order_id"
    assert Column("Raw", STRING, silver="").silver_name is None


def test_a_required_column_is_checked_once_for_presence():
    assert [rule.name for rule in Column("Id", STRING, required=True).rules] == ["not_null"]
    (rule,) = Column("Id", STRING, required=True, rule=not_null(WARN)).rules
    assert rule.severity is Severity.WARN


def test_each_rule_has_the_name_of_its_check():
    declared = table(
        columns=(ID, CHANGED, Column("Email", STRING, silver="mail", rule=is_email(ERROR))),
        rules=(holds("mail_is_ours", "{Email} like '%ours%'", "the mail is ours"),),
    )
    assert [(name, rule.dimension, column and column.name) for name, rule, column in declared.every_rule] == [
        ("id_not_null", Dimension.COMPLETENESS, "Id"),
        ("changed_at_not_null", Dimension.COMPLETENESS, "ChangedAt"),
        ("mail_is_email", Dimension.VALIDITY, "Email"),
        ("mail_is_ours", Dimension.CONSISTENCY, None),
    ]


def test_an_error_allows_a_twentieth_and_a_warning_nothing_unless_they_say():
    assert at_least(0).allowed == 0.05
    assert at_least(0, WARN).allowed == 0.0
    assert Rule("few", "true", "is so", severity=ERROR, tolerance=0.0).allowed == 0.0


@pytest.mark.parametrize(("every", "hours"), [(HOURLY, 3), (DAILY, 26), (ON_CHANGE, 3)])
def test_the_freshness_promise_is_the_interval_and_two_hours(every, hours):
    assert every.promise == timedelta(hours=hours)


def test_types_are_written_as_sql_writes_them():
    item = STRUCT(Column("sku", STRING), Column("price", DECIMAL(18, 2)), Column("on", DATE))
    assert str(LIST(item)) == "array<struct<sku:string,price:decimal(18,2),on:date>>"
    assert str(JSON) == "json"


def test_tables_are_named_by_system_and_name():
    declared = table(key=("Id",), columns=(replace(ID, silver="order_id"), CHANGED))
    assert declared.asset_path == ("bronze", "shop", "orders")
    assert declared.silver_name == "shop_orders"
    assert declared.silver_key == ("order_id",)


def test_loads_without_a_cursor_need_none():
    assert table(load=Stream(order="offset"), columns=(ID,)).load == Stream("offset")
    restated = table(load=Window(day="on", restated=days(28)), columns=(ID, Column("on", DATE)))
    assert restated.load.restated == timedelta(days=28)


def test_retention_is_said_in_years():
    assert years(7) == timedelta(days=2555)
    assert table(keep_for=years(1)).keep_for > timedelta(days=364)
    assert date(2026, 1, 1) - years(1) == date(2025, 1, 1)


def test_a_table_may_say_what_is_left_of_a_field_that_must_not_land():
    token = Column("card_token", STRING, personal=Personal.CARD, lands=Concealed("card_number", Mask.TOKEN))
    assert table(columns=(ID, CHANGED, token)).by_name["card_token"].lands.field == "card_number"
    number = Column("card_number", STRING, personal=Personal.CARD)
    with pytest.raises(DeclarationError, match="card_number must not land"):
        table(columns=(ID, CHANGED, token, number))
    with pytest.raises(DeclarationError, match=r"use Mask.TOKEN, Mask.LAST_FOUR"):
        Concealed("card_number", Mask.REDACTED)
    with pytest.raises(DeclarationError, match="declare it STRING"):
        Column("card_token", STRING, lands=Concealed("card_number", Mask.TOKEN))


def test_a_message_without_a_value_deletes_by_the_tables_own_key_or_not_at_all():
    assert table(load=Stream("offset", Messages(key="Id")), columns=(ID,))
    with pytest.raises(DeclarationError, match="would delete by User"):
        table(load=Stream("offset", Messages(key="User")), columns=(ID, Column("User", STRING)))


def test_a_sensor_that_follows_lag_is_the_only_one_to_ask_for_loads():
    lag = Lag(10_000, timedelta(minutes=1))
    assert table(load=Stream("offset", lag=lag), every=ON_CHANGE, columns=(ID,)).load.lag == lag
    with pytest.raises(DeclarationError, match="every=ON_CHANGE"):
        table(load=Stream("offset", lag=lag), every=HOURLY, columns=(ID,))
    with pytest.raises(DeclarationError, match="an age above zero"):
        Lag(1, timedelta(0))


def test_a_table_lies_in_silver_by_its_key_or_by_a_column_that_is_no_ones():
    assert table(columns=(ID, CHANGED)).silver_order == ("id",)
    assert table(columns=(ID, CHANGED), lies_by=CHANGED.name).silver_order == (CHANGED.silver_name,)
    with pytest.raises(DeclarationError, match="its order in silver 'other' is not a column"):
        table(columns=(ID, CHANGED), lies_by="other")
    person = Column("User", STRING, personal=Personal.USER)
    with pytest.raises(DeclarationError, match="it lies by User, which is personal"):
        table(columns=(ID, CHANGED, person), lies_by="User")
