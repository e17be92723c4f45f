"""Deletions, formulas and changed fields: what Salesforce shows in other ways than a newer row."""

import json
from datetime import timedelta

import pytest

from data_platform.connectors.base import SourceError
from data_platform.sources.salesforce import ACCOUNTS, LEADS

BULK = {"salesforce_bulk_threshold": 1}


def ids_of(company, table, count):
    return [row["Id"] for row in company.world.truth(table) if not row["IsDeleted"]][:count]


def truly_live(company, table):
    return {row["Id"] for row in company.world.truth(table) if not row["IsDeleted"]}


@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_a_deleted_record_lands_as_a_deletion_with_its_columns(company, way):
    bronze = company.bronze(LEADS, **way)
    bronze.load()
    gone = ids_of(company, "leads", 3)
    company.control.delete("Lead", gone)
    bronze.load()
    assert bronze.landed == 3
    assert bronze.live().keys() == truly_live(company, "leads")
    assert all(bronze.newest()[key]["LastName"] is not None for key in gone)


def test_an_undeleted_record_is_alive_again(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    (back,) = ids_of(company, "leads", 1)
    company.control.delete("Lead", [back])
    bronze.load()
    assert back not in bronze.live()
    company.control.undelete("Lead", [back])
    bronze.load()
    assert back in bronze.live()
    bronze.load()
    assert bronze.landed == 0


def test_deleted_and_undeleted_between_two_loads_is_alive(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    (back,) = ids_of(company, "leads", 1)
    company.control.delete("Lead", [back])
    company.world.pass_time(timedelta(minutes=2))
    company.control.undelete("Lead", [back])
    bronze.load()
    assert back in bronze.live()


def test_what_no_query_shows_any_more_is_told_by_get_deleted(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    gone = ids_of(company, "leads", 4)
    company.control.delete("Lead", gone)
    company.control.purge("Lead")
    company.world.pass_time(timedelta(minutes=2))
    bronze.load()
    assert bronze.landed == 4
    assert bronze.live().keys() == truly_live(company, "leads")
    assert {bronze.newest()[key]["_origin"] for key in gone} == {"Lead via getDeleted v58.0"}
    bronze.load()
    assert bronze.landed == 0


def test_emptying_the_bin_after_the_deletion_landed_adds_nothing(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    company.control.delete("Lead", ids_of(company, "leads", 4))
    bronze.load()
    company.control.purge("Lead")
    company.world.pass_time(timedelta(minutes=2))
    bronze.load()
    assert bronze.landed == 0


@pytest.mark.parametrize("away", [timedelta(days=20), timedelta(days=60)], ids=["20 days", "60 days"])
@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_after_a_gap_that_get_deleted_can_not_tell_of_keys_are_compared(company, away, way):
    bronze = company.bronze(LEADS, **way)
    bronze.load()
    gone = ids_of(company, "leads", 5)
    company.control.delete("Lead", gone)
    company.world.pass_time(away)
    shown = company.control.insert("Lead", [{"LastName": "New", "Company": "Ltd"}])
    offer = bronze.load()
    assert bronze.live().keys() == truly_live(company, "leads") >= set(shown)
    assert {key for key, row in bronze.newest().items() if "comparing keys" in row["_origin"]} == set(gone)
    assert "the keys that we hold were compared" in offer.notes[0]
    assert bronze.load().notes == []
    assert bronze.landed == 0


def test_an_object_without_a_list_of_deletions_is_read_all_the_same(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    company.control.fail_next(
        404, "*/deleted*", code="NOT_FOUND", message="The requested resource does not exist"
    )
    company.control.insert("Lead", [{"LastName": "New", "Company": "Ltd"}])
    offer = bronze.load()
    assert bronze.landed == 1
    assert "does not tell what is deleted from Lead" in offer.notes[0]


def test_a_quiet_table_renews_its_position_every_week(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    company.world.pass_time(timedelta(days=6))
    assert not bronze.load().renew
    company.world.pass_time(timedelta(days=2))
    before = bronze.position["until"]
    assert bronze.load().renew
    assert bronze.position["until"] > before


@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_a_formula_that_changed_without_the_cursor_lands_with_the_weekly_comparison(company, way):
    bronze = company.bronze(ACCOUNTS, **way)
    bronze.load()
    records = company.world.records("accounts")
    records.change([1, 2, 3], Segment__c="Recomputed")
    bronze.load()
    assert bronze.landed == 0
    company.world.pass_time(timedelta(days=7))
    offer = bronze.load()
    assert offer.renew
    assert bronze.landed == 3
    assert sum(row["Segment__c"] == "Recomputed" for row in bronze.live().values()) == 3
    assert bronze.live().keys() == truly_live(company, "accounts")
    assert not bronze.load().renew
    assert bronze.landed == 0


def test_a_new_field_lands_in_rescued_and_is_told(company):
    company.control.add_column("Lead", "Score__c", "double", 12.5)
    company.control.add_column("Lead", "Note__c", "string", "x")
    by_rest, by_bulk = company.bronze(LEADS), company.bronze(LEADS, **BULK)
    offer = by_rest.load()
    by_bulk.load()
    assert {(drift.column, drift.kind) for drift in offer.drift} == {("Score__c", "new"), ("Note__c", "new")}
    assert {row["_rescued"] for row in by_rest.rows} == {'{"Note__c":"x","Score__c":12.5}'}
    assert {row["_rescued"] for row in by_bulk.rows} == {'{"Note__c":"x","Score__c":12.5}'}


def test_a_lost_field_lands_as_null_and_is_told(company):
    company.control.drop_column("Lead", "Rating")
    bronze = company.bronze(LEADS)
    offer = bronze.load()
    assert [(drift.column, drift.kind) for drift in offer.drift] == [("Rating", "lost")]
    assert len(bronze.live()) == len(truly_live(company, "leads"))
    assert {row["Rating"] for row in bronze.rows} == {None}


@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_a_value_that_no_longer_fits_its_type_is_rescued_and_its_row_lands(company, way):
    company.control.retype_column("Lead", "AnnualRevenue", "string")
    (odd,) = company.control.insert("Lead", [{"LastName": "Odd", "Company": "Ltd", "AnnualRevenue": "a lot"}])
    bronze = company.bronze(LEADS, **way)
    offer = bronze.load()
    assert [(drift.column, drift.kind, drift.found) for drift in offer.drift] == [
        ("AnnualRevenue", "type", "string")
    ]
    row = bronze.live()[odd]
    assert (row["AnnualRevenue"], json.loads(row["_rescued"])) == (None, {"AnnualRevenue": "a lot"})
    assert bronze.live().keys() == truly_live(company, "leads")


def test_a_field_that_vanishes_while_it_is_read_is_read_without(company):
    bronze = company.bronze(LEADS)
    company.control.fail_next(
        400, "*/queryAll*", after=1, code="INVALID_FIELD", message="No such column 'Rating'"
    )
    bronze.load()
    assert bronze.live().keys() == truly_live(company, "leads")


def test_a_lost_cursor_is_an_error_that_says_so(company):
    company.control.drop_column("Lead", "SystemModstamp")
    with pytest.raises(SourceError, match=r"no longer shows SystemModstamp.*read access"):
        company.bronze(LEADS).load()
