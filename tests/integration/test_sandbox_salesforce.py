"""The stand-in for Salesforce, seen through unmodified simple-salesforce: it shows the company's truth."""

import csv
import io
import json
import time
from datetime import date, datetime, timedelta
from decimal import Decimal

import jwt
import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from data_platform.declarations import SourceTable
from data_platform.sources.salesforce import TABLES
from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World

DECLARED = [table for table in TABLES if table.system == "salesforce"]


@pytest.fixture
def server():
    with SalesforceServer(World(sizes=Sizes.at(0.1))) as running:
        yield running


@pytest.fixture
def http(server):
    session = requests.Session()
    session.verify = str(server.ca_file)
    # The environment's REQUESTS_CA_BUNDLE would win over `verify`.
    session.trust_env = False
    return session


def log_in(server, http, **form):
    settings = server.settings()
    usual = {
        "grant_type": "refresh_token",
        "client_id": settings["SALESFORCE_CLIENT_ID"],
        "client_secret": settings["SALESFORCE_CLIENT_SECRET"],
        "refresh_token": settings["SALESFORCE_REFRESH_TOKEN"],
    }
    return http.post(f"{settings['SALESFORCE_LOGIN_URL']}/services/oauth2/token", data=usual | form)


@pytest.fixture
def salesforce(server, http):
    token = log_in(server, http).json()
    return Salesforce(
        session_id=token["access_token"], instance_url=token["instance_url"], session=http, version="58.0"
    )


def names_of(table: SourceTable) -> list[str]:
    return [column.name for column in table.columns]


def from_json(record, kinds):
    return {name: value_of(kinds[name], value) for name, value in record.items() if name != "attributes"}


def value_of(kind, value):
    """A value of an answer as the company holds it."""
    if value is None or value == "":
        return None
    match kind:
        case "currency":
            return Decimal(str(value))
        case "percent":
            return float(value)
        case "int":
            return int(value)
        case "boolean":
            return value in (True, "true")
        case "date":
            return date.fromisoformat(value)
        case "datetime":
            return datetime.fromisoformat(value)
        case _:
            return value


def kinds_of(salesforce, sobject):
    return {each["name"]: each["type"] for each in getattr(salesforce, sobject).describe()["fields"]}


def truth(server, table, *, with_deleted=False):
    return {row["Id"]: row for row in server.world.truth(table) if with_deleted or not row["IsDeleted"]}


def plainly(rows):
    return json.loads(json.dumps(rows))


@pytest.mark.parametrize("table", DECLARED, ids=lambda table: table.name)
@pytest.mark.parametrize("with_deleted", [False, True], ids=["query", "queryAll"])
def test_a_query_shows_every_record_as_the_company_holds_it(server, salesforce, table, with_deleted):
    server.control.give_pages_of(70)
    kinds = kinds_of(salesforce, table.reads)
    query = f"SELECT {', '.join(names_of(table))} FROM {table.reads} ORDER BY SystemModstamp, Id"
    records = plainly(list(salesforce.query_all_iter(query, include_deleted=with_deleted)))
    read = {record["Id"]: from_json(record, kinds) for record in records}
    assert len(read) == len(records)
    assert read == truth(server, table.name, with_deleted=with_deleted)
    stamps = [(record["SystemModstamp"], record["Id"]) for record in records]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("table", DECLARED, ids=lambda table: table.name)
def test_a_bulk_query_shows_every_record_as_the_company_holds_it(server, salesforce, table):
    kinds = kinds_of(salesforce, table.reads)
    names = [name for name in names_of(table) if kinds[name] != "address"]
    parts = list(
        getattr(salesforce.bulk2, table.reads).query_all(
            f"SELECT {','.join(names)} FROM {table.reads}", max_records=99, wait=0.05
        )
    )
    rows = [row for part in parts for row in csv.DictReader(io.StringIO(part, newline=""))]
    read = {row["Id"]: {name: value_of(kinds[name], value) for name, value in row.items()} for row in rows}
    expected = truth(server, table.name, with_deleted=True)
    assert len(parts) == -(-len(expected) // 99)
    assert read == {each: {name: row[name] for name in names} for each, row in expected.items()}


def test_records_come_in_the_vendors_own_shape(server, salesforce, http):
    one = next(row for row in server.world.truth("leads") if row["Street"] and not row["IsDeleted"])
    server.control.update("Lead", [one["Id"]], AnnualRevenue="139000000.5", NumberOfEmployees=7)
    fields = "Id, annualrevenue, NumberOfEmployees, Email, Address, CreatedDate"
    query = f"SELECT {fields} FROM Lead WHERE Id = '{one['Id']}'"
    body = http.get(f"{salesforce.base_url}query", params={"q": query}, headers=salesforce.headers).text
    link = f"/services/data/v58.0/sobjects/Lead/{one['Id']}"
    attributes = f'"attributes":{{"type":"Lead","url":"{link}"}}'
    assert f'{attributes},"Id":"{one["Id"]}","AnnualRevenue":1.390000005E8,"NumberOfEmployees":7,' in body
    record = json.loads(body)["records"][0]
    assert record["CreatedDate"] == one["CreatedDate"].strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    assert record["Address"]["street"] == one["Street"]
    assert set(record["Address"]) == {
        "city", "country", "geocodeAccuracy", "latitude", "longitude", "postalCode", "state", "street",
    }  # fmt: skip


def test_a_page_says_where_the_next_one_is(server, salesforce):
    server.control.give_pages_of(200)
    total = len(truth(server, "leads"))
    first = salesforce.query("SELECT Id FROM Lead", headers={"Sforce-Query-Options": "batchSize=200"})
    assert (first["totalSize"], first["done"], len(first["records"])) == (total, False, 200)
    more = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    again = salesforce.query_more(first["nextRecordsUrl"].rsplit("/", 1)[1])
    assert more["records"] == again["records"]
    assert not {r["Id"] for r in first["records"]} & {r["Id"] for r in more["records"]}


def test_a_count_has_no_records(server, salesforce):
    counted = salesforce.query("SELECT COUNT() FROM Lead WHERE IsConverted = true")
    expected = sum(row["IsConverted"] for row in truth(server, "leads").values())
    assert counted == {"totalSize": expected, "done": True, "records": []}


def test_describe_tells_types_and_what_is_computed(salesforce):
    fields = {each["name"]: each for each in salesforce.Account.describe()["fields"]}
    assert fields["Segment__c"]["calculated"]
    assert not fields["Name"]["calculated"]
    assert (fields["AnnualRevenue"]["precision"], fields["AnnualRevenue"]["scale"]) == (18, 2)
    assert fields["BillingCity"]["compoundFieldName"] == "BillingAddress"
    assert fields["BillingAddress"]["type"] == "address"
    assert {each["name"] for each in salesforce.describe()["sobjects"]} >= {table.reads for table in DECLARED}


@pytest.mark.parametrize("table", DECLARED, ids=lambda table: table.name)
def test_every_declared_column_has_a_type_that_the_vendor_gives_it(salesforce, table):
    fits = {
        "string": {"id", "reference", "string", "email", "phone", "url", "textarea", "picklist"},
        "boolean": {"boolean"},
        "bigint": {"int"},
        "double": {"percent", "double"},
        "decimal": {"currency"},
        "date": {"date"},
        "timestamp": {"datetime"},
        "json": {"address"},
    }
    kinds = kinds_of(salesforce, table.reads)
    assert {c.name for c in table.columns if kinds[c.name] not in fits[c.type.kind]} == set()


def test_every_answer_says_how_much_of_the_quota_is_used(server, salesforce):
    salesforce.query("SELECT Id FROM Lead LIMIT 1")
    used = salesforce.api_usage["api-usage"].used
    salesforce.query("SELECT Id FROM Lead LIMIT 1")
    assert salesforce.api_usage["api-usage"] == (used + 1, 100_000)
    daily = salesforce.limits()["DailyApiRequests"]
    assert daily["Max"] - daily["Remaining"] == used + 2


def test_a_spent_quota_refuses_until_the_next_window(server, salesforce):
    server.control.limit_calls(daily=3, used=3)
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        salesforce.query("SELECT Id FROM Lead LIMIT 1")
    server.control.open_next_window()
    assert salesforce.query("SELECT Id FROM Lead LIMIT 1")["totalSize"] == 1


def test_the_recycle_bin_holds_a_record_for_fifteen_days(server, salesforce):
    one, two, three = list(truth(server, "leads"))[:3]
    server.control.delete("Lead", [one, two])
    server.control.delete("Lead", [three])
    server.control.undelete("Lead", [two])

    def in_bin():
        found = salesforce.query_all("SELECT Id FROM Lead WHERE IsDeleted = true", include_deleted=True)
        return {record["Id"] for record in found["records"]} & {one, two, three}

    assert in_bin() == {one, three}
    server.control.pass_time(hours=24 * 15 + 1)
    assert in_bin() == set()


def test_a_purged_record_is_known_to_get_deleted_alone(server, salesforce):
    one, two = list(truth(server, "leads"))[:2]
    server.control.delete("Lead", [one, two])
    server.control.purge("Lead")
    seen = salesforce.query_all("SELECT Id FROM Lead", include_deleted=True)["records"]
    assert not {one, two} & {record["Id"] for record in seen}
    now = server.world.now
    told = salesforce.Lead.deleted(now - timedelta(hours=1), now + timedelta(minutes=2))
    assert {one, two} <= {record["id"] for record in told["deletedRecords"]}
    assert set(told) == {"deletedRecords", "earliestDateAvailable", "latestDateCovered"}
    assert datetime.fromisoformat(told["latestDateCovered"]) <= now


@pytest.mark.parametrize(("start", "end"), [(timedelta(days=31), timedelta()), (timedelta(), timedelta())])
def test_get_deleted_refuses_a_span_that_the_vendor_refuses(server, salesforce, start, end):
    now = server.world.now
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_REPLICATION_DATE"):
        salesforce.Lead.deleted(now - start, now - end)


def test_get_updated_tells_the_ids_that_changed(server, salesforce):
    one, two = list(truth(server, "leads"))[:2]
    server.control.pass_time(hours=1)
    before = server.world.now
    server.control.update("Lead", [one, two], Rating="Hot")
    told = salesforce.Lead.updated(before - timedelta(minutes=1), before + timedelta(minutes=2))
    assert told["ids"] == [one, two]


def test_a_bulk_job_refuses_compounds_and_counts(salesforce):
    for query in ("SELECT Id, Address FROM Lead", "SELECT COUNT() FROM Lead"):
        with pytest.raises(SalesforceMalformedRequest, match="not supported in Bulk Query"):
            next(salesforce.bulk2.Lead.query(query))


def test_a_bulk_job_is_watched_read_again_and_deleted(server, salesforce, http):
    jobs = f"{salesforce.bulk2_url}query"
    ask = {"operation": "query", "query": "SELECT Id, Rating FROM Lead ORDER BY Id"}
    made = http.post(jobs, json=ask, headers=salesforce.headers).json()
    assert (made["state"], made["object"], made["apiVersion"]) == ("UploadComplete", "Lead", 58.0)
    assert server.org.jobs[made["id"]].ended.wait(10)
    job = http.get(f"{jobs}/{made['id']}", headers=salesforce.headers).json()
    total = len(truth(server, "leads"))
    assert (job["state"], job["numberRecordsProcessed"]) == ("JobComplete", total)

    # The answer stands, whatever happens to the records later.
    server.control.update("Lead", list(truth(server, "leads")), Rating="Hot")
    results = f"{jobs}/{made['id']}/results"
    first = http.get(results, params={"maxRecords": total - 1}, headers=salesforce.headers)
    assert first.headers["Sforce-NumberOfRecords"] == str(total - 1)
    assert first.text.startswith('"Id","Rating"\n')
    assert '""\n' in first.text
    last = http.get(results, params={"locator": first.headers["Sforce-Locator"]}, headers=salesforce.headers)
    assert (last.headers["Sforce-Locator"], last.headers["Sforce-NumberOfRecords"]) == ("null", "1")

    assert http.delete(f"{jobs}/{made['id']}", headers=salesforce.headers).status_code == 204
    assert http.get(f"{jobs}/{made['id']}", headers=salesforce.headers).status_code == 404


def test_a_client_logs_in_with_its_own_credentials_or_a_signed_assertion(server, http):
    assert log_in(server, http, grant_type="client_credentials").ok
    claims = {
        "iss": server.credentials.client_id,
        "sub": server.credentials.username,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 120,
    }
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    signed = jwt.encode(claims, server.credentials.private_key, "RS256")
    assert log_in(server, http, grant_type=grant, assertion=signed).json()["instance_url"] == server.url
    late = jwt.encode(claims | {"exp": int(time.time()) - 300}, server.credentials.private_key, "RS256")
    assert log_in(server, http, grant_type=grant, assertion=late).json()["error"] == "invalid_grant"
    tampered = signed[:-8] + ("AAAAAAAA" if signed[-8:] != "AAAAAAAA" else "BBBBBBBB")
    assert log_in(server, http, grant_type=grant, assertion=tampered).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"refresh_token": "old"}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client_id"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_login_is_refused_in_the_vendors_words(server, http, form, error):
    refused = log_in(server, http, **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)


def test_a_session_that_nobody_opened_is_refused(server, http):
    stranger = Salesforce(session_id="00D!guess", instance_url=server.url, session=http, version="58.0")
    with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
        stranger.query("SELECT Id FROM Lead")


def test_what_is_not_there_is_not_found(salesforce):
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Shoe__c.describe()


def test_a_client_without_the_authority_does_not_trust_the_server(server):
    stranger = requests.Session()
    stranger.trust_env = False
    with pytest.raises(requests.exceptions.SSLError):
        stranger.get(server.url)


def test_the_clock_of_the_answers_is_never_behind_a_record(server, salesforce, http):
    one = next(iter(truth(server, "leads")))
    server.control.update("Lead", [one], Rating="Cold")
    query = {"q": f"SELECT SystemModstamp FROM Lead WHERE Id = '{one}'"}
    answer = http.get(f"{salesforce.base_url}query", params=query, headers=salesforce.headers)
    shown = datetime.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S %Z").astimezone(
        server.world.now.tzinfo
    )
    assert shown == server.world.now
    assert datetime.fromisoformat(answer.json()["records"][0]["SystemModstamp"]) < shown


@pytest.mark.parametrize(
    ("compresses", "accepted", "encoding"),
    [(True, "gzip", "gzip"), (True, "identity", None), (False, "gzip", None)],
)
def test_an_answer_is_gzipped_only_where_both_want_it(
    server, salesforce, http, compresses, accepted, encoding
):
    server.compresses = compresses
    asked = salesforce.headers | {"Accept-Encoding": accepted}
    answer = http.get(f"{salesforce.base_url}query", params={"q": "SELECT Id FROM Lead"}, headers=asked)
    assert answer.headers.get("Content-Encoding") == encoding
    assert len(answer.json()["records"]) == len(truth(server, "leads"))
