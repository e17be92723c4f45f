"""SOQL as the sandbox reads it: held against the same conditions in Python over the company's rows."""

import datetime as dt

import pytest

from sandbox.salesforce import soql
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.fields import objects
from sandbox.salesforce.query import Search, planned
from sandbox.world.company import Sizes, World


@pytest.fixture(scope="module")
def world():
    return World(sizes=Sizes.at(0.1))


@pytest.fixture(scope="module")
def ids(world):
    def found(query):
        plan = planned(soql.parse(query), objects())
        records = world.records(plan.sobject.table)
        rows = Search(plan, records).rows(world.seen(plan.sobject.table, with_deleted=False))
        return [records.ids[row] for row in rows.tolist()]

    return found


NOON = dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
CONDITIONS = {
    "Status = 'working - contacted'": lambda r: r["Status"] == "Working - Contacted",
    "Rating != 'Hot'": lambda r: r["Rating"] != "Hot",
    "Rating = null": lambda r: r["Rating"] is None,
    "Rating != NULL": lambda r: r["Rating"] is not None,
    "IsConverted = TRUE": lambda r: r["IsConverted"],
    "AnnualRevenue > 1e6": lambda r: (r["AnnualRevenue"] or 0) > 1_000_000,
    "AnnualRevenue <= -1.5": lambda r: r["AnnualRevenue"] is not None and r["AnnualRevenue"] <= -1.5,
    "NumberOfEmployees < 500": lambda r: r["NumberOfEmployees"] is not None and r["NumberOfEmployees"] < 500,
    "SystemModstamp >= 2025-06-01T12:00:00Z": lambda r: r["SystemModstamp"] >= NOON,
    "SystemModstamp < 2025-06-01T14:00:00.000+02:00": lambda r: r["SystemModstamp"] < NOON,
    "ConvertedDate > 2025-06-01": lambda r: (
        r["ConvertedDate"] is not None and r["ConvertedDate"] > dt.date(2025, 6, 1)
    ),
    "Rating IN ('Hot', 'cold')": lambda r: r["Rating"] in ("Hot", "Cold"),
    "Rating NOT IN ('Hot')": lambda r: r["Rating"] != "Hot",
    "LastName LIKE 'o\\'%'": lambda r: r["LastName"].startswith("O'"),
    "LastName LIKE '_ee'": lambda r: r["LastName"] in ("Lee",),
    "NOT (Rating = 'Hot')": lambda r: r["Rating"] != "Hot",
    "Rating = 'Hot' AND (Industry = 'Retail' OR Industry = null)": lambda r: (
        r["Rating"] == "Hot" and r["Industry"] in ("Retail", None)
    ),
    "(Rating = 'Hot' AND IsConverted = false) OR (Rating = 'Cold' AND NOT IsConverted = false)": lambda r: (
        (r["Rating"] == "Hot" and not r["IsConverted"]) or (r["Rating"] == "Cold" and r["IsConverted"])
    ),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_finds_the_rows_that_it_says(ids, world, condition):
    visible = [row for row in world.truth("leads") if not row["IsDeleted"]]
    expected = [row["Id"] for row in visible if CONDITIONS[condition](row)]
    assert 0 < len(expected) < len(visible)
    assert ids(f"SELECT Id FROM Lead WHERE {condition}") == expected


def test_a_reader_that_goes_on_from_stamp_and_id_sees_every_row_once(ids, world):
    """The tiebreak that an incremental read needs: many rows share a SystemModstamp."""
    stamps = {row["Id"]: row["SystemModstamp"] for row in world.truth("leads") if not row["IsDeleted"]}
    read, after = [], "Id != null"
    while page := ids(f"SELECT Id FROM Lead WHERE {after} ORDER BY SystemModstamp, Id LIMIT 37"):
        read += page
        stamp = stamps[page[-1]].strftime("%Y-%m-%dT%H:%M:%SZ")
        after = f"SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{page[-1]}')"
    assert read == sorted(stamps, key=lambda each: (stamps[each], each))


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("Rating", lambda r: (r["Rating"] is not None, r["Rating"] or "", r["Id"])),
        ("Rating ASC NULLS LAST", lambda r: (r["Rating"] is None, r["Rating"] or "", r["Id"])),
        ("IsConverted DESC, Id ASC", lambda r: (not r["IsConverted"], r["Id"])),
        (
            "NumberOfEmployees DESC, Id",
            lambda r: (r["NumberOfEmployees"] is not None, -(r["NumberOfEmployees"] or 0), r["Id"]),
        ),
    ],
)
def test_rows_come_in_the_order_asked_for(ids, world, order, key):
    rows = sorted((row for row in world.truth("leads") if not row["IsDeleted"]), key=key)
    assert ids(f"SELECT Id FROM Lead ORDER BY {order}") == [row["Id"] for row in rows]


def test_an_id_of_fifteen_characters_is_known_too(ids, world):
    one = next(row["Id"] for row in world.truth("leads") if not row["IsDeleted"])
    assert ids(f"SELECT Id FROM Lead WHERE Id = '{one[:15]}'") == [one]


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id, FROM Lead", "MALFORMED_QUERY", "unexpected token"),
        (
            "SELECT Id FROM Lead WHERE Id = 'a' AND Id = 'b' OR Id = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        ("SELECT Id FROM Lead WHERE Name ~ 'a'", "MALFORMED_QUERY", "unexpected token: '~'"),
        (
            "SELECT Id FROM Lead WHERE CreatedDate > 2025-02-30T00:00:00Z",
            "MALFORMED_QUERY",
            "unexpected token",
        ),
        ("SELECT Id FROM Lead LIMIT many", "MALFORMED_QUERY", "unexpected token: 'many'"),
        ("SELECT Shoe__c FROM Lead", "INVALID_FIELD", "No such column 'Shoe__c' on entity 'Lead'"),
        ("SELECT Id FROM Shoe__c", "INVALID_TYPE", "sObject type 'Shoe__c' is not supported"),
        ("SELECT Id, id FROM Lead", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Id FROM Lead WHERE SystemModstamp > '2025'", "INVALID_FIELD", "must be of type dateTime"),
        ("SELECT Id FROM Lead WHERE Rating = 5", "INVALID_FIELD", "should be enclosed in quotes"),
        ("SELECT Id FROM Lead WHERE Description = 'a'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Lead ORDER BY Address", "MALFORMED_QUERY", "can not be sorted"),
    ],
)
def test_a_wrong_query_is_refused_in_the_vendors_words(ids, query, code, says):
    with pytest.raises(ApiError, match=says) as refused:
        ids(query)
    assert refused.value.code == code
