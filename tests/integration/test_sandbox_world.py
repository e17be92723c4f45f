"""The company behind the sandbox: the same from one seed, with the faults that it says it has."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from data_platform.sources.salesforce import TABLES
from sandbox.world.company import EPOCH, Sizes, World
from sandbox.world.ids import id_with_checksum

SMALL = Sizes.at(0.2)


@pytest.fixture(scope="module")
def world():
    return World(sizes=SMALL)


def by_id(world, table):
    return {row["Id"]: row for row in world.truth(table)}


def changed_on_day_one(table):
    world = World(sizes=SMALL)
    before = by_id(world, table)
    world.advance()
    return world, before, by_id(world, table)


def test_an_id_carries_salesforces_own_checksum():
    assert id_with_checksum("0016100000MUX6a") == "0016100000MUX6aAAH"


@pytest.mark.parametrize("table", ["accounts", "contacts", "leads", "opportunities", "campaigns"])
def test_the_same_seed_gives_the_same_company_day_for_day(world, table):
    again, other = World(sizes=SMALL), World(seed=7, sizes=SMALL)
    assert again.truth(table) == world.truth(table)
    assert other.truth(table) != world.truth(table)
    at_once, day_by_day = World(sizes=SMALL), World(sizes=SMALL)
    at_once.advance(2)
    day_by_day.advance()
    day_by_day.advance()
    assert at_once.truth(table) == day_by_day.truth(table)


def test_every_declared_salesforce_column_is_there(world):
    for table in TABLES:
        if table.system == "salesforce":
            row = world.truth(table.name)[0]
            assert {column.name for column in table.columns} == set(row), table.name


def test_the_planted_faults_are_as_many_as_the_company_says(world):
    leads, contacts = by_id(world, "leads"), by_id(world, "contacts")
    opportunities = world.truth("opportunities")
    planted = world.planted
    found = {
        "unknown status": sum(row["Status"] == "Parked" for row in leads.values()),
        "negative revenue": sum((row["AnnualRevenue"] or 0) < 0 for row in leads.values()),
        "no account": sum(row["IsConverted"] and row["ConvertedAccountId"] is None for row in leads.values()),
        "bad lead emails": sum(is_bad(row["Email"]) for row in leads.values()),
        "bad contact emails": sum(is_bad(row["Email"]) for row in contacts.values()),
        "capital emails": sum((row["Email"] or "").isupper() for row in contacts.values()),
        "duplicates": sum(n - 1 for email, n in Counter(r["Email"] for r in leads.values()).items() if email),
        "negative amounts": sum((row["Amount"] or 0) < 0 for row in opportunities),
        "huge amounts": sum((row["Amount"] or 0) > 10**9 for row in opportunities),
        "deleted": sum(row["IsDeleted"] for row in leads.values()),
    }
    assert found == {
        "unknown status": planted["leads"]["unknown_status"],
        "negative revenue": planted["leads"]["negative_revenue"],
        "no account": planted["leads"]["converted_without_account"],
        "bad lead emails": planted["leads"]["bad_email"],
        "bad contact emails": planted["contacts"]["bad_email"],
        "capital emails": planted["contacts"]["other_case_email"],
        "duplicates": planted["leads"]["duplicate_email"] + planted["leads"]["entered_twice"],
        "negative amounts": planted["opportunities"]["negative_amount"],
        "huge amounts": planted["opportunities"]["huge_amount"],
        "deleted": planted["leads"]["deleted"],
    }
    assert min(found.values()) > 0


def is_bad(email):
    if email is None:
        return False
    name, at, host = email.partition("@")
    return not (name and at and "." in host.strip(".") and "@" not in host and " " not in email)


def test_a_converted_lead_leads_to_its_contact_account_and_opportunity(world):
    contacts, accounts = by_id(world, "contacts"), by_id(world, "accounts")
    opportunities = by_id(world, "opportunities")
    converted = [row for row in world.truth("leads") if row["IsConverted"] and row["ConvertedAccountId"]]
    assert len(converted) > 50
    for lead in converted:
        contact = contacts[lead["ConvertedContactId"]]
        assert contact["AccountId"] == lead["ConvertedAccountId"]
        assert opportunities[lead["ConvertedOpportunityId"]]["AccountId"] == lead["ConvertedAccountId"]
        assert lead["ConvertedAccountId"] in accounts
        assert contact["Name"] == lead["Name"]
        assert lead["CreatedDate"] <= contact["CreatedDate"]


def test_a_persons_email_differs_between_lead_and_contact_only_where_that_was_planted(world):
    contacts = by_id(world, "contacts")
    planted = {each for ids in world.planted_ids["contacts"].values() for each in ids}
    planted |= {each for ids in world.planted_ids["leads"].values() for each in ids}
    converted = [row for row in world.truth("leads") if row["IsConverted"]]
    differing = {
        row["ConvertedContactId"]
        for row in converted
        if contacts[row["ConvertedContactId"]]["Email"] != row["Email"]
    }
    assert differing
    assert differing <= planted


def test_many_rows_share_a_systemmodstamp_and_none_is_ahead_of_the_clock(world):
    stamps = Counter(row["SystemModstamp"] for row in world.truth("leads"))
    assert stamps.most_common(1)[0][1] > 100
    assert max(stamps) <= world.now
    assert all(stamp.microsecond == 0 for stamp in stamps)


def test_nothing_is_an_empty_text_as_salesforce_knows_none(world):
    for table in world.tables:
        assert not [row["Id"] for row in world.truth(table) if "" in row.values()]


def test_a_day_brings_new_rows_and_changes_about_one_in_a_hundred():
    world, before, after = changed_on_day_one("leads")
    new = after.keys() - before.keys()
    changed = {each for each in before if before[each] != after[each]}
    assert len(new) == round(len(before) * 0.01)
    assert len(before) * 0.005 < len(changed) < len(before) * 0.03
    assert world.now == EPOCH + timedelta(days=1)
    for each in new | changed:
        assert EPOCH <= after[each]["SystemModstamp"] <= world.now
    assert {each for each in before if after[each]["IsDeleted"]} != {
        e for e in before if before[e]["IsDeleted"]
    }


def test_the_formula_changes_for_some_accounts_without_moving_their_stamp():
    moved = 0
    world = World(sizes=SMALL)
    for _ in range(3):
        before = by_id(world, "accounts")
        world.advance()
        after = by_id(world, "accounts")
        for each in before:
            if before[each]["SystemModstamp"] == after[each]["SystemModstamp"]:
                moved += before[each]["Segment__c"] != after[each]["Segment__c"]
                assert before[each] | {"Segment__c": None} == after[each] | {"Segment__c": None}
    assert moved > 0


def test_a_change_by_hand_gets_a_second_of_its_own():
    world = World(sizes=SMALL)
    one, two, three = (row["Id"] for row in world.truth("accounts")[:3])
    world.update("accounts", [one, two], AnnualRevenue=Decimal("900000000.00"))
    world.update("accounts", [three], Rating="Hot")
    after = by_id(world, "accounts")
    assert (
        after[one]["SystemModstamp"]
        == after[two]["SystemModstamp"]
        < after[three]["SystemModstamp"]
        < world.now
    )
    assert after[one]["Segment__c"] == "Enterprise"


def test_what_was_purged_can_not_come_back():
    world = World(sizes=SMALL)
    (one,) = (row["Id"] for row in world.truth("leads")[:1])
    world.delete("leads", [one])
    world.purge("leads")
    with pytest.raises(ValueError, match="recycle bin"):
        world.undelete("leads", [one])


def test_a_table_that_is_not_there_is_named_with_those_that_are(world):
    with pytest.raises(LookupError, match="no table 'orders'; there are accounts"):
        world.truth("orders")
