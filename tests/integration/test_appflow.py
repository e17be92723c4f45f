"""A table of Salesforce by way of AppFlow: the flow is run and followed, and both ways lead to the same bronze."""

import hmac
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load
from data_platform.connectors.base import SourceError
from data_platform.connectors.landing.appflow import AppFlow
from data_platform.connectors.landing.connector import LandingFiles
from data_platform.connectors.salesforce import Salesforce
from data_platform.declarations import STRING, Column, Concealed, Mask, Personal
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.sources.salesforce import ACCOUNTS
from sandbox.landing.appflow import AppFlowServer
from sandbox.landing.zone import LandingFolder, land_object

DAY = date(2026, 6, 1)
BY_FILES = {"accounts": "appflow"}


@pytest.fixture(autouse=True)
def short_looks(monkeypatch):
    monkeypatch.setattr("data_platform.connectors.landing.appflow.FIRST_LOOK", 0.01)


@pytest.fixture
def zone(tmp_path) -> LandingFolder:
    return LandingFolder(tmp_path / "landing")


@pytest.fixture
def appflow():
    with AppFlowServer() as server:
        yield server


def settings(*given, **more) -> Settings:
    said = {name.lower(): value for each in given for name, value in each.settings().items()}
    return Settings(_env_file=None, **(said | more))


def by_flow(zone, appflow, flow="accounts-daily", **more) -> Settings:
    routes = {"salesforce_routes": {"accounts": "appflow"}, "appflow_flows": {"accounts": flow}}
    return settings(zone, appflow, **(routes | more))


def account(number: int) -> dict:
    return {"Id": f"{number:018d}", "SystemModstamp": datetime(2026, 6, 1, 6, tzinfo=UTC)}


def ids(lake) -> list[str]:
    return lake.bronze(ACCOUNTS).query('select "Id" from held order by 1').column("Id").to_pylist()


def writing(zone, *numbers: int, file: str = "part-0"):
    """A flow that lands these accounts."""

    def write() -> int:
        land_object(zone, "Account", DAY, [account(number) for number in numbers], file=file)
        return len(numbers)

    return write


def test_a_load_runs_the_flow_to_its_end_and_lands_what_it_wrote(zone, appflow, lake):
    appflow.add("accounts-daily", writing(zone, 1, 2))
    loaded = load(ACCOUNTS, AppFlow(by_flow(zone, appflow)), lake, 1_000)
    assert loaded.receipt.landed == 2
    assert loaded.notes == ["AppFlow's flow 'accounts-daily' was run and moved 2 records"]
    assert appflow.started == ["accounts-daily"]


def test_a_flow_that_runs_already_is_followed_and_not_started_again(zone, appflow, lake):
    appflow.add("accounts-daily", writing(zone, 1, 2))
    appflow.start("accounts-daily")
    assert load(ACCOUNTS, AppFlow(by_flow(zone, appflow)), lake, 1_000).receipt.landed == 2
    assert appflow.started == ["accounts-daily"]


def test_the_execution_is_found_among_the_earlier_ones(zone, appflow, lake):
    appflow.add("accounts-daily", writing(zone, 1, 2))
    for _ in range(3):
        loaded = load(ACCOUNTS, AppFlow(by_flow(zone, appflow)), lake, 1_000)
    assert (len(appflow.started), ids(lake)) == (3, [account(1)["Id"], account(2)["Id"]])
    assert loaded.receipt.overlap == 2


def test_a_flow_that_fails_is_told_with_its_reason_and_nothing_lands(zone, appflow, lake):
    appflow.add("accounts-daily", writing(zone, 1))
    appflow.fail("accounts-daily", "The connection to Salesforce has expired.\nid 00x")
    with pytest.raises(SourceError) as told:
        load(ACCOUNTS, AppFlow(by_flow(zone, appflow)), lake, 1_000)
    assert str(told.value) == (
        "AppFlow's flow 'accounts-daily' ended as Error (execution run-0, 1 files not written): The connection to "
        "Salesforce has expired. Correct the flow in AppFlow and run again; the position stands"
    )
    assert lake.bronze(ACCOUNTS).rows == 0


def test_a_flow_that_does_not_exist_is_told_with_its_setting(zone, appflow, lake):
    with pytest.raises(SourceError, match=r"AppFlow has no flow 'accounts-dayly'; correct APPFLOW_FLOWS"):
        load(ACCOUNTS, AppFlow(by_flow(zone, appflow, "accounts-dayly")), lake, 1_000)


def test_a_flow_that_takes_too_long_is_left_to_the_next_run(zone, appflow, lake):
    appflow.add("accounts-daily", writing(zone, 1, 2))
    appflow.looks_until_done = 5
    impatient = by_flow(zone, appflow, appflow_patience=timedelta(seconds=0.02))
    with pytest.raises(SourceError, match=r"was not done after .*APPFLOW_PATIENCE"):
        load(ACCOUNTS, AppFlow(impatient), lake, 1_000)
    assert load(ACCOUNTS, AppFlow(by_flow(zone, appflow)), lake, 1_000).receipt.landed == 2
    assert appflow.started == ["accounts-daily"]


def test_a_flow_with_a_schedule_of_its_own_is_not_started(zone, appflow, lake):
    writing(zone, 1)()
    assert load(ACCOUNTS, AppFlow(settings(zone, appflow)), lake, 1_000).receipt.landed == 1
    assert appflow.started == []


def test_a_setting_chooses_the_way_by_table(zone, appflow, company):
    chosen = settings(company.server, zone, appflow, salesforce_routes={"accounts": "appflow"})
    assert isinstance(connector_for(ACCOUNTS, chosen), AppFlow)
    assert isinstance(connector_for(ACCOUNTS, settings(company.server)), Salesforce)


def offered(company) -> list[dict]:
    """All accounts as a flow reads them, the deleted ones too."""
    return [
        {column.name: row[column.name] for column in ACCOUNTS.columns}
        for row in company.world.truth("accounts")
    ]


def newest(lake) -> dict[str, dict]:
    rows = lake.bronze(ACCOUNTS).query('select * from held order by "SystemModstamp", "_batch"').to_pylist()
    kept = {name.name for name in ACCOUNTS.columns} - {"BillingAddress", "ShippingAddress"}
    return {row["Id"]: {name: row[name] for name in (*kept, "_op")} for row in rows}


def test_both_ways_land_the_same_rows(company, zone, tmp_path):
    one, other = Lake(str(tmp_path / "api")), Lake(str(tmp_path / "files"))
    load(ACCOUNTS, Salesforce(company.settings()), one, 1_000)
    land_object(zone, "Account", DAY, offered(company), "jsonl")
    load(ACCOUNTS, LandingFiles(settings(zone)), other, 1_000)
    assert newest(one) == newest(other)


CONCEALED = (
    Column("phone_token", STRING, personal=Personal.PHONE, lands=Concealed("Phone", Mask.TOKEN)),
    Column("phone_ending", STRING, personal=Personal.PHONE, lands=Concealed("Phone", Mask.LAST_FOUR)),
)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_what_must_not_be_stored_lands_by_both_ways_as_declared_and_not_itself(company, zone, tmp_path, form):
    columns = tuple(column for column in ACCOUNTS.columns if column.name != "Phone") + CONCEALED
    table = replace(ACCOUNTS, columns=columns)
    land_object(zone, "Account", DAY, offered(company), form)
    landed = {}
    for way, chosen in (
        ("api", settings(company.server)),
        ("files", settings(zone, salesforce_routes=BY_FILES)),
    ):
        lake = Lake(str(tmp_path / way))
        keyed = chosen.model_copy(update={"token_key": SecretStr("a key")})
        loaded = load(table, connector_for(table, keyed), lake, 1_000)
        assert loaded.receipt.complete
        held = lake.bronze(table).query('select * from held order by "SystemModstamp", "_batch"').to_pylist()
        landed[way] = {row["Id"]: {column.name: row[column.name] for column in CONCEALED} for row in held}
        assert "Phone" not in held[0]
        assert not any("Phone" in (row["_rescued"] or "") for row in held)
    truth = {row["Id"]: row["Phone"] for row in company.world.truth("accounts")}
    assert any(truth.values())
    assert landed["api"] == landed["files"] == {key: concealed(phone) for key, phone in truth.items()}


def concealed(phone: str | None) -> dict[str, str | None]:
    if phone is None:
        return {"phone_token": None, "phone_ending": None}
    token = hmac.digest(b"a key", re.sub("[ -]", "", phone).encode(), "sha256").hex()[:32]
    return {"phone_token": token, "phone_ending": re.sub(r"\D", "", phone)[-4:]}


def test_a_table_that_conceals_a_field_is_not_read_without_the_key_of_its_tokens(zone):
    table = replace(ACCOUNTS, columns=(*(c for c in ACCOUNTS.columns if c.name != "Phone"), *CONCEALED))
    with pytest.raises(
        SourceError, match=r"salesforce\.accounts keeps tokens of Phone, and TOKEN_KEY is not set"
    ):
        connector_for(table, settings(zone, salesforce_routes=BY_FILES, token_key=None))


def test_a_table_changes_its_way_to_files_and_back_and_lands_no_row_twice(company, zone, lake):
    by_api, by_files = Salesforce(company.settings()), LandingFiles(settings(zone))
    known = [row["Id"] for row in company.world.truth("accounts")]
    load(ACCOUNTS, by_api, lake, 1_000)
    company.control.update("Account", known[:3], Rating="Hot")
    changed = [row for row in offered(company) if row["Id"] in known]
    land_object(zone, "Account", DAY, changed, "jsonl")
    handed_over = load(ACCOUNTS, by_files, lake, 1_000)
    assert handed_over.receipt.landed == 3
    assert "was read from its source itself until now" in handed_over.notes[0]
    assert load(ACCOUNTS, by_files, lake, 1_000).notes == []
    company.control.update("Account", known[5:7], Rating="Cold")
    back = load(ACCOUNTS, by_api, lake, 1_000)
    assert (back.receipt.landed, back.receipt.adds_up) == (2, True)
    rows = lake.bronze(ACCOUNTS).query("select * from held").to_pylist()
    versions = {(row["Id"], row["SystemModstamp"], row["_op"]) for row in rows}
    assert len(versions) == len(rows)
    truth = {row["Id"]: row["Rating"] for row in company.world.truth("accounts")}
    assert {key: row["Rating"] for key, row in newest(lake).items()} == truth


def test_the_api_is_not_asked_for_all_of_a_table_that_files_began(company, zone, lake):
    land_object(zone, "Account", DAY, [account(1)])
    load(ACCOUNTS, LandingFiles(settings(zone)), lake, 1_000)
    with pytest.raises(
        SourceError, match=r"position is that of landed files.*position set.*cursor, key, until"
    ):
        load(ACCOUNTS, Salesforce(company.settings()), lake, 1_000)
