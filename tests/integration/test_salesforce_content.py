"""What lands from Salesforce is what is there: by REST and by Bulk, load after load."""

import json

import pytest

from data_platform.sources.salesforce import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, TABLES

BULK = {"salesforce_bulk_threshold": 1}


def agrees_with_truth(bronze, world) -> None:
    """Every live record with every declared column, and no other."""
    truth = {row["Id"]: row for row in world.truth(bronze.table.name) if not row["IsDeleted"]}
    live = bronze.live()
    assert live.keys() == truth.keys()
    for key, row in live.items():
        for column in bronze.table.columns:
            landed, true = row[column.name], truth[key][column.name]
            if column.type.kind == "json":
                landed = json.loads(landed) if landed else None
            assert landed == (None if true == "" else true), column.name
        assert row["_rescued"] is None


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_a_first_load_lands_every_record_as_it_is(company, table, way):
    bronze = company.bronze(table, **way)
    bronze.load()
    agrees_with_truth(bronze, company.world)
    assert bronze.offered == bronze.read == bronze.landed


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rest_and_bulk_give_the_same_rows(company, table):
    by_rest, by_bulk = company.bronze(table), company.bronze(table, **BULK)
    by_rest.load()
    by_bulk.load()
    for bronze in (by_rest, by_bulk):
        for row in bronze.rows:
            row.pop("_origin")
    assert by_rest.newest() == by_bulk.newest()


@pytest.mark.parametrize("way", [{}, BULK], ids=["rest", "bulk"])
def test_ten_days_later_each_load_has_moved_only_what_changed(company, way):
    bronze = company.bronze(LEADS, **way)
    bronze.load()
    for _ in range(10):
        before = company.world.clock
        company.control.advance()
        bronze.load()
        changed = [row for row in company.world.truth("leads") if row["SystemModstamp"].timestamp() >= before]
        assert 0 < bronze.landed <= len(changed) + 5
        agrees_with_truth(bronze, company.world)


def test_a_quiet_source_lands_nothing_again(company):
    bronze = company.bronze(ACCOUNTS)
    bronze.load()
    position = bronze.position
    offer = bronze.load()
    assert (bronze.landed, bronze.position, offer.renew) == (0, position, False)


def test_a_killed_first_load_goes_on_inside_and_lands_nothing_twice(company):
    bronze = company.bronze(LEADS)
    bronze.load(killed_after=2)
    assert len(bronze.rows) == 400
    bronze.load()
    agrees_with_truth(bronze, company.world)
    assert bronze.read == len(company.world.truth("leads")) - 400
    assert len({row["Id"] for row in bronze.rows}) == len(bronze.rows)


def test_a_load_killed_later_on_loses_nothing_and_doubles_nothing(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    ids = [row["Id"] for row in company.world.truth("leads")]
    company.control.update("Lead", ids[:450], Rating="Hot")
    bronze.load(killed_after=1)
    company.control.update("Lead", ids[440:500], Rating="Cold")
    bronze.load()
    agrees_with_truth(bronze, company.world)
    assert len({(row["Id"], row["SystemModstamp"], row["_op"]) for row in bronze.rows}) == len(bronze.rows)


def test_ties_across_page_edges_are_each_read_once(company):
    ids = [row["Id"] for row in company.world.truth("leads")]
    company.control.update("Lead", ids, Rating="Hot")
    assert len({row["SystemModstamp"] for row in company.world.truth("leads")}) == 1
    bronze = company.bronze(LEADS)
    for _ in range(2):
        bronze.load(killed_after=1)
    bronze.load()
    agrees_with_truth(bronze, company.world)
    assert len(bronze.rows) == len(company.world.truth("leads"))


def test_a_row_that_turns_up_late_lands_with_the_next_load(company):
    bronze = company.bronze(LEADS)
    bronze.load()
    late = company.control.hold_back("Lead", {"LastName": "Late", "Company": "Ltd"}, minutes=5)
    company.control.insert("Lead", [{"LastName": "Punctual", "Company": "Ltd"}])
    bronze.load()
    assert late not in bronze.live()
    company.control.release()
    bronze.load()
    assert bronze.landed == 1
    assert bronze.live()[late]["LastName"] == "Late"
    agrees_with_truth(bronze, company.world)


def test_values_keep_their_meaning(company):
    (kept,) = company.control.insert(
        "Opportunity", [{"Name": 'Quote " and \\ and\nline', "Amount": None, "Description": "ünïcödé, comma"}]
    )
    for way in ({}, BULK):
        bronze = company.bronze(OPPORTUNITIES, **way)
        bronze.load()
        row = bronze.live()[kept]
        assert row["Name"] == 'Quote " and \\ and\nline'
        assert row["Amount"] is None
        assert row["Description"] == "ünïcödé, comma"


def test_a_row_says_where_it_came_from(company):
    by_rest, by_bulk = company.bronze(CONTACTS), company.bronze(CONTACTS, **BULK)
    by_rest.load()
    by_bulk.load()
    assert {row["_origin"] for row in by_rest.rows} == {"Contact via REST v58.0"}
    assert {row["_origin"] for row in by_bulk.rows} == {"Contact via Bulk v58.0"}
