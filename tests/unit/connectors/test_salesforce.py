"""The parts of the Salesforce connector that need no Salesforce."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from data_platform.connectors.base import QuotaReached, SourceError
from data_platform.connectors.salesforce.bulk import compound_json
from data_platform.connectors.salesforce.deletions import Gone
from data_platform.connectors.salesforce.describe import Described, Field
from data_platform.connectors.salesforce.position import Reached
from data_platform.connectors.salesforce.quota import Quota
from data_platform.connectors.salesforce.soql import Place, Question
from data_platform.sources.salesforce import LEADS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)
QUESTION = Question("Lead", ["Id", "Name"], "SystemModstamp", "Id", end=NOON)


def field(name, kind="string", **more):
    return {"name": name, "type": kind} | more


def described(*fields, table=LEADS):
    needed = [field("Id", "id"), field("SystemModstamp", "datetime")]
    return Described(table, table.load, {"fields": [*needed, *fields]})


def test_a_question_is_bounded_and_in_order():
    assert QUESTION.select_in_order == (
        "SELECT Id, Name FROM Lead WHERE SystemModstamp < 2026-06-01T12:00:00Z ORDER BY SystemModstamp, Id"
    )


def test_a_question_goes_on_strictly_after_a_row():
    after = QUESTION.beyond(Place(NOON - timedelta(hours=1, milliseconds=-5), "00Q'5\\"))
    assert after.count == (
        "SELECT COUNT() FROM Lead WHERE (SystemModstamp > 2026-06-01T11:00:00.005Z OR (SystemModstamp = "
        "2026-06-01T11:00:00.005Z AND Id > '00Q\\'5\\\\')) AND SystemModstamp < 2026-06-01T12:00:00Z"
    )


def test_a_question_from_a_moment_on_takes_that_moment_in():
    assert (
        "WHERE SystemModstamp >= 2026-06-01T11:00:00Z AND"
        in QUESTION.beyond(Place(NOON - timedelta(hours=1))).count
    )


def test_a_position_survives_being_written_down():
    reached = Reached(
        NOON + timedelta(milliseconds=7), "00Q5", NOON, NOON - OVERLAP, NOON - timedelta(days=3)
    )
    assert Reached.of(reached.position) == reached


def test_a_finished_load_is_followed_by_its_last_minutes_again():
    assert Reached(NOON, "", NOON, NOON, NOON).start(OVERLAP) == Place(NOON - OVERLAP)


def test_a_load_that_was_cut_short_goes_on_where_it_stopped():
    stopped = NOON - timedelta(days=300)
    assert Reached(stopped, "00Q5", NOON, NOON, NOON).start(OVERLAP) == Place(stopped, "00Q5")


def test_the_first_compound_of_an_address_is_as_rest_writes_it():
    parts = [
        Field("BillingStreet", "textarea", 0, False, "BillingAddress"),
        Field("BillingCity", "string", 0, False, "BillingAddress"),
        Field("BillingLatitude", "double", 15, False, "BillingAddress"),
    ]
    texts = pa.table(
        {
            "BillingStreet": pa.chunked_array([['1 "Old" Rd\nYard', None, None]]),
            "BillingCity": pa.chunked_array([["Köln", "Rome", None]]),
            "BillingLatitude": pa.chunked_array([["50.9", None, None]], pa.string()),
        }
    )
    compound = Field("BillingAddress", "address", 0, False, None)
    rest = (
        '"country":null,"geocodeAccuracy":null,"latitude":{},"longitude":null,"postalCode":null,"state":null'
    )
    assert compound_json(texts, compound, parts).to_pylist() == [
        f'{{"city":"Köln",{rest.format("50.9")},"street":"1 \\"Old\\" Rd\\nYard"}}',
        f'{{"city":"Rome",{rest.format("null")},"street":null}}',
        None,
    ]


REST_NAMES = (
    *("city", "country", "geocodeAccuracy", "latitude"),
    *("longitude", "postalCode", "state", "street"),
)


def test_a_part_that_is_missing_from_some_records_is_null_there():
    parts = [Field(f"Mailing{name}", "string", 0, False, "MailingAddress") for name in ("City", "State")]
    texts = pa.table({"MailingCity": ["Rome", "Bonn", None], "MailingState": ["RM", None, None]}).slice(1)
    compound = Field("MailingAddress", "address", 0, False, None)
    (bonn, nothing) = compound_json(texts, compound, parts).to_pylist()
    assert json.loads(bonn) == dict.fromkeys(REST_NAMES) | {"city": "Bonn"}
    assert nothing is None


def test_a_geolocation_is_made_of_its_parts():
    parts = [Field(f"Site__{name}__s", "double", 15, False, "Site__c") for name in ("Latitude", "Longitude")]
    texts = pa.table({part.name: pa.chunked_array([["1.5"]]) for part in parts})
    site = Field("Site__c", "location", 0, False, None)
    assert compound_json(texts, site, parts).to_pylist() == ['{"latitude":1.5,"longitude":1.5}']


def test_drift_tells_what_is_new_lost_and_of_another_type():
    found = described(field("AnnualRevenue", "string"), field("Tier__c", "picklist"), field("City")).drift()
    kinds = {drift.column: drift.kind for drift in found}
    assert kinds["AnnualRevenue"] == "type"
    assert kinds["Tier__c"] == "new"
    assert kinds["Email"] == "lost"
    assert "City" not in kinds


@pytest.mark.parametrize(
    ("name", "kind", "scale"),
    [("NumberOfEmployees", "double", 0), ("AnnualRevenue", "currency", 2), ("ConvertedDate", "date", 0)],
)
def test_a_type_that_holds_the_same_values_is_no_drift(name, kind, scale):
    assert name not in {drift.column for drift in described(field(name, kind, scale=scale)).drift()}


def test_ignored_fields_compounds_and_the_parts_of_declared_compounds_are_not_asked_for():
    table = replace(LEADS, ignores=("Internal__c",))
    seen = described(
        field("Internal__c"),
        field("Site__c", "location"),
        field("Address", "address"),
        field("Latitude", "double", compoundFieldName="Address"),
        field("Photo__c", "base64"),
        field("Tier__c"),
        table=table,
    )
    assert [each.name for each in seen.undeclared] == ["Tier__c"]
    assert seen.asked == ["Id", "Address", "SystemModstamp", "Tier__c"]


def test_a_lost_key_is_an_error():
    with pytest.raises(SourceError, match="Lead no longer shows Id"):
        Described(LEADS, LEADS.load, {"fields": [field("SystemModstamp", "datetime")]})


def test_a_record_that_a_read_shows_alive_after_its_deletion_is_not_gone():
    gone = Gone(NOON, {"deleted": NOON, "shown": NOON, "back": NOON, "older": NOON})
    later, before = NOON + timedelta(seconds=1), NOON - timedelta(seconds=1)
    gone.heed(
        pa.array(["shown", "back", "older", "other"]),
        pa.array([before, later, before, later], pa.timestamp("us", "UTC")),
        pa.array([True, False, False, True]),
    )
    assert gone.dates.keys() == {"deleted", "older"}


def quota(monkeypatch, reserve=0.1, patience=60.0, limits=()):
    waits, answers = [], iter(limits)
    monkeypatch.setattr("data_platform.connectors.salesforce.quota.time.sleep", waits.append)
    watched = Quota(reserve, timedelta(seconds=patience), lambda: watched.saw(next(answers)))
    return watched, waits


def test_the_quota_is_waited_for_with_ever_rarer_looks(monkeypatch):
    watched, waits = quota(monkeypatch, limits=["api-usage=950/1000"] * 3 + ["api-usage=1/1000"])
    watched.saw("api-usage=950/1000; per-app-api-usage=1/9(appName=x)")
    watched.wait_for_room()
    assert waits == [1, 2, 4, 8]


def test_the_reserve_may_be_touched_but_not_entered(monkeypatch):
    watched, waits = quota(monkeypatch)
    watched.saw("api-usage=900/1000")
    watched.wait_for_room()
    assert waits == []


def test_a_wait_ends_when_patience_does(monkeypatch):
    watched, waits = quota(monkeypatch, patience=5.0, limits=["api-usage=950/1000"] * 9)
    watched.saw("api-usage=950/1000")
    with pytest.raises(QuotaReached, match="50 of 1000 daily API calls left, and 100 are kept"):
        watched.wait_for_room()
    assert sum(waits) == 5.0
