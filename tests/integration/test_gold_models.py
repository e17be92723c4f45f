"""The CRM's models on small silver tables, built, changed and built again, against a truth written by hand."""

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_platform.gold.dbt import run_dbt, seed_parse
from data_platform.lake.schema import arrow_type
from data_platform.settings import Settings
from data_platform.sources.catalogue import table_named

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
MODELS = (
    "core.dim_accounts",
    "core.dim_contacts",
    "crm.fct_opportunities",
    "crm.fct_leads",
    "crm.mart_lead_funnel",
    "crm.mart_pipeline",
    "crm.mart_win_rate",
    "crm.mart_sales_cycle",
)


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


def write_silver(settings: Settings, name: str, rows: list[dict]) -> None:
    """A conformed table as Spark leaves it, of which only what a test is about is given."""
    declared = table_named(f"salesforce.{name}")
    schema = pa.schema(
        [
            *(pa.field(c.silver_name, arrow_type(c.type)) for c in declared.columns if c.silver_name),
            pa.field("is_deleted", pa.bool_()),
            pa.field("_batch", pa.int64()),
            pa.field("_landed_at", pa.timestamp("us", tz="UTC")),
            pa.field("_warnings", pa.list_(pa.string())),
        ]
    )
    unsaid = {"is_deleted": False, "_landed_at": at(6, 1), "_warnings": []}
    table = pa.Table.from_pylist([{**unsaid, **row} for row in rows], schema=schema)
    write_deltalake(f"{settings.lake}/silver/salesforce_{name}", table, mode="overwrite")


def write_amounts(settings: Settings, *amounts: tuple[str, str, int]) -> None:
    """Silver's opportunity_amounts: each deal's dollars, and the batch that they came with."""
    schema = pa.schema(
        [
            ("opportunity_id", pa.string()),
            ("amount_usd", pa.decimal128(18, 2)),
            ("is_deleted", pa.bool_()),
            ("_batch", pa.int64()),
        ]
    )
    rows = [
        {"opportunity_id": deal, "amount_usd": Decimal(dollars), "is_deleted": False, "_batch": batch}
        for deal, dollars, batch in amounts
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    write_deltalake(f"{settings.lake}/silver/opportunity_amounts", table, mode="overwrite")


def account(account_id: str, name: str, segment: str, changed: datetime, batch: int, **more) -> dict:
    told = {"account_id": account_id, "account_name": name, "segment": segment, "created_at": at(1, 1)}
    return {**told, "system_modstamp": changed, "_batch": batch, **more}


def deal(opportunity_id: str, account_id: str | None, created: datetime, batch: int, **more) -> dict:
    told = {
        "opportunity_id": opportunity_id,
        "account_id": account_id,
        "stage": "Proposal",
        "owner_id": "uma",
    }
    unsaid = {
        "currency": "EUR",
        "amount": Decimal("100.00"),
        "probability": 50.0,
        "close_date": date(2024, 9, 1),
    }
    state = {"is_closed": False, "is_won": False, "created_at": created, "system_modstamp": created}
    return {**told, **unsaid, **state, "_batch": batch, **more}


def lead(lead_id: str, status: str, batch: int, **more) -> dict:
    told = {"lead_id": lead_id, "status": status, "lead_source": "Web", "is_converted": False}
    return {**told, "created_at": at(1, 10), "system_modstamp": at(1, 10), "_batch": batch, **more}


WON = {"stage": "Closed Won", "is_closed": True, "is_won": True}
LOST = {"stage": "Closed Lost", "is_closed": True}
CONVERTED = {"is_converted": True, "converted_account_id": "acme", "converted_contact_id": "ann"}


def write_first_state(settings: Settings) -> None:
    write_silver(
        settings,
        "accounts",
        [
            account("acme", "Acme", "Small", at(1, 5), 1),
            account("bolt", "Bolt", "Small", at(1, 5), 1),
            account("gone", "Gone", "Small", at(1, 5), 1),
        ],
    )
    ann = {"contact_id": "ann", "account_id": "acme", "full_name": "Ann", "created_at": at(1, 12, 14)}
    write_silver(settings, "contacts", [{**ann, "system_modstamp": at(1, 12, 14), "_batch": 1}])
    write_silver(
        settings,
        "opportunities",
        [
            deal("open", "acme", at(1, 3), 1),
            deal("of a late account", "late", at(1, 20), 1, currency="USD"),
            deal("after a change", "acme", at(2, 12), 1),
            deal("won", "bolt", at(1, 4), 1, **WON, close_date=date(2024, 1, 24)),
            deal("lost", None, at(1, 4), 1, **LOST, close_date=date(2024, 1, 30)),
        ],
    )
    write_amounts(settings, ("open", "110.00", 1), ("after a change", "110.00", 1), ("won", "110.00", 1))
    write_silver(
        settings,
        "leads",
        [
            lead("new", "Open - Not Contacted", 1),
            lead("worked", "Working - Contacted", 1),
            lead("became won", "Closed - Converted", 1, **CONVERTED, converted_opportunity_id="won")
            | {"converted_date": date(2024, 1, 12)},
        ],
    )


def write_second_state(settings: Settings) -> None:
    """A change, a deletion, an account that landed after its deal, and a touch that changed nothing."""
    write_silver(
        settings,
        "accounts",
        [
            account("acme", "Acme", "Large", at(2, 10), 2),
            account("bolt", "Bolt", "Small", at(2, 10), 2),
            account("gone", "Gone", "Small", at(2, 11), 2, is_deleted=True),
            account("late", "Late", "Large", at(1, 15), 2, created_at=at(1, 15)),
        ],
    )
    write_silver(
        settings,
        "opportunities",
        [
            deal("open", "acme", at(1, 3), 2, **WON, close_date=date(2024, 2, 2)),
            deal("of a late account", "late", at(1, 20), 1, currency="USD"),
            deal("after a change", "acme", at(2, 12), 1),
            deal("won", "bolt", at(1, 4), 1, **WON, close_date=date(2024, 1, 24)),
            deal("lost", None, at(1, 4), 2, **LOST, close_date=date(2024, 1, 30), is_deleted=True),
        ],
    )
    # A rate was put right, and one landed late; neither deal is another one than before.
    write_amounts(
        settings,
        ("open", "110.00", 1),
        ("after a change", "120.00", 2),
        ("won", "110.00", 1),
        ("of a late account", "100.00", 2),
    )
    write_silver(
        settings,
        "leads",
        [
            lead("new", "Closed - Not Converted", 2),
            lead("worked", "Working - Contacted", 2, is_deleted=True),
            lead("became won", "Closed - Converted", 1, **CONVERTED, converted_opportunity_id="won")
            | {"converted_date": date(2024, 1, 12)},
        ],
    )


def build(settings: Settings, *arguments: str) -> None:
    if "--select" not in arguments:
        arguments = (*arguments, "--select", "+path:models/marts/crm")
    target = settings.home / "warehouse" / "dbt"
    seed_parse(settings, target)
    ended = run_dbt(
        settings, ["--quiet", "build", "--exclude-resource-type", "unit_test", *arguments], target
    )
    assert ended.success, [(node.node.name, node.message) for node in ended.result or []]


def query(state: Path, sql: str) -> list[tuple]:
    with duckdb.connect(
        str(state / "warehouse" / "building" / "warehouse.duckdb"), read_only=True
    ) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def everything(state: Path) -> dict[str, list[tuple]]:
    return {model: query(state, f"from {model} order by all") for model in MODELS}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """One home for all builds, since dbt parses everything again where it moves."""
    return Settings(data_platform_home=tmp_path_factory.mktemp("home"), lake_uri="")


def put_back(settings: Settings, state: Path) -> None:
    shutil.rmtree(settings.home)
    shutil.copytree(state, settings.home)


@pytest.fixture(scope="module")
def first(settings, tmp_path_factory) -> Path:
    """What is there after a build on the first state of silver."""
    write_first_state(settings)
    build(settings)
    return shutil.copytree(settings.home, tmp_path_factory.mktemp("states") / "first")


@pytest.fixture(scope="module")
def second(settings, first, tmp_path_factory) -> Path:
    """What is there after one more, on the second state."""
    put_back(settings, first)
    write_second_state(settings)
    build(settings)
    return shutil.copytree(settings.home, tmp_path_factory.mktemp("states") / "second")


VERSIONS = """
    select account_id, version_number, segment, valid_from, valid_to, is_current
    from core.dim_accounts order by all
"""
UNKNOWN_ACCOUNT = ("(unknown)", 0, None, FOREVER, FOREVER, False)


def test_the_first_version_of_an_account_is_valid_from_its_creation(first):
    assert query(first, VERSIONS) == [
        UNKNOWN_ACCOUNT,
        ("acme", 1, "Small", at(1, 1), FOREVER, True),
        ("bolt", 1, "Small", at(1, 1), FOREVER, True),
        ("gone", 1, "Small", at(1, 1), FOREVER, True),
    ]


def test_a_change_begins_a_version_and_a_deletion_ends_the_last(second):
    assert query(second, VERSIONS) == [
        UNKNOWN_ACCOUNT,
        ("acme", 1, "Small", at(1, 1), at(2, 10), False),
        ("acme", 2, "Large", at(2, 10), FOREVER, True),
        ("bolt", 1, "Small", at(1, 1), FOREVER, True),
        ("gone", 1, "Small", at(1, 1), at(2, 11), False),
        ("late", 1, "Large", at(1, 15), FOREVER, True),
    ]


DEALS = """
    select opportunity_id, accounts.account_id, version_number, days_to_win, is_deleted
    from crm.fct_opportunities as deals inner join core.dim_accounts as accounts using (account_key)
    order by opportunity_id
"""


def test_a_deal_whose_account_has_not_landed_points_to_the_unknown_one(first):
    assert query(first, DEALS) == [
        ("after a change", "acme", 1, None, False),
        ("lost", "(unknown)", 0, None, False),
        ("of a late account", "(unknown)", 0, None, False),
        ("open", "acme", 1, None, False),
        ("won", "bolt", 1, 20, False),
    ]


def test_deals_follow_accounts_that_landed_late_or_changed_before_them(second):
    assert query(second, DEALS) == [
        ("after a change", "acme", 2, None, False),
        ("lost", "(unknown)", 0, None, True),
        ("of a late account", "late", 1, None, False),
        ("open", "acme", 1, 30, False),
        ("won", "bolt", 1, 20, False),
    ]


def test_a_converted_lead_knows_the_account_and_contact_of_that_day(second):
    became = """
        select lead_id, accounts.account_id, accounts.version_number, contacts.full_name, is_deleted
        from crm.fct_leads as leads
        inner join core.dim_accounts as accounts using (account_key)
        inner join core.dim_contacts as contacts using (contact_key)
        order by lead_id
    """
    assert query(second, became) == [
        ("became won", "acme", 1, "Ann", False),
        ("new", "(unknown)", 0, None, False),
        ("worked", "(unknown)", 0, None, True),
    ]


def dollars(*amounts: str) -> list[Decimal]:
    return [Decimal(amount).quantize(Decimal("0.01")) for amount in amounts]


def test_the_marts_hold_the_first_state(first):
    held = everything(first)
    january = date(2024, 1, 1)
    third = 1 / 3
    assert held["crm.mart_lead_funnel"] == [
        (january, "Web", 3, 2, 1, 1, 2 * third, third, 1.0, Decimal("110.00"))
    ]
    assert held["crm.mart_pipeline"] == [
        ("Proposal", "uma", "EUR", 2, *dollars("200", "100", "220", "110"), date(2024, 9, 1)),
        ("Proposal", "uma", "USD", 1, *dollars("100", "50", "0", "0"), date(2024, 9, 1)),
    ]
    assert held["crm.mart_win_rate"] == [(january, "uma", 2, 1, 1, 0.5, *dollars("110", "0"))]
    assert held["crm.mart_sales_cycle"] == [(january, "Small", 1, 20.0, 20.0, 20, *dollars("110"))]


def test_the_marts_hold_the_second_state_without_what_was_deleted(second):
    held = everything(second)
    january, february = date(2024, 1, 1), date(2024, 2, 1)
    assert held["crm.mart_lead_funnel"] == [(january, "Web", 2, 2, 1, 1, 1.0, 0.5, 1.0, Decimal("110.00"))]
    assert held["crm.mart_pipeline"] == [
        ("Proposal", "uma", "EUR", 1, *dollars("100", "50", "120", "60"), date(2024, 9, 1)),
        ("Proposal", "uma", "USD", 1, *dollars("100", "50", "100", "50"), date(2024, 9, 1)),
    ]
    assert held["crm.mart_win_rate"] == [
        (january, "uma", 1, 1, 0, 1.0, *dollars("110", "0")),
        (february, "uma", 1, 1, 0, 1.0, *dollars("110", "0")),
    ]
    assert held["crm.mart_sales_cycle"] == [
        (january, "Small", 1, 20.0, 20.0, 20, *dollars("110")),
        (february, "Small", 1, 30.0, 30.0, 30, *dollars("110")),
    ]


def test_a_second_run_on_the_same_silver_changes_nothing(settings, second):
    put_back(settings, second)
    build(settings)
    assert everything(settings.home) == everything(second)


@pytest.mark.parametrize("done", ["dim_accounts", "dim_accounts fct_opportunities"])
def test_a_run_that_ended_between_models_is_made_whole_by_the_next(settings, first, second, done):
    put_back(settings, first)
    write_second_state(settings)
    build(settings, "--select", done)
    assert everything(settings.home) != everything(second)
    build(settings)
    assert everything(settings.home) == everything(second)


def test_a_full_refresh_keeps_the_history(settings, second):
    put_back(settings, second)
    build(settings, "--full-refresh")
    assert everything(settings.home) == everything(second)


def test_the_unit_tests_of_the_models_pass(settings, first):
    put_back(settings, first)
    target = settings.home / "warehouse" / "dbt"
    models = ("path:models/marts/crm", "dim_accounts", "dim_contacts")
    units = [f"{model},test_type:unit" for model in models]
    ended = run_dbt(settings, ["--quiet", "test", "--select", *units], target)
    # What dbt runs beside tests, before and after, is told of too.
    tests = [node for node in ended.result if node.node.resource_type == "unit_test"]
    assert [node.node.name for node in tests if node.status != "pass"] == []
    assert len(tests) >= 12
