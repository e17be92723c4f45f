"""The stand-in for Salesforce goes wrong when it is told to, as often as it is told, and then no more."""

import http.client
import time

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceOperationError,
)

from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World

QUERY = "SELECT Id, LastName FROM Lead ORDER BY Id"


@pytest.fixture
def server():
    with SalesforceServer(World(sizes=Sizes.at(0.1))) as running:
        running.control.give_pages_of(100)
        yield running


@pytest.fixture
def session(server):
    session = requests.Session()
    session.verify, session.trust_env = str(server.ca_file), False
    return session


@pytest.fixture
def salesforce(server, session):
    form = {
        "grant_type": "client_credentials",
        "client_id": server.credentials.client_id,
        "client_secret": server.credentials.client_secret,
    }
    token = session.post(f"{server.url}/services/oauth2/token", data=form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return Salesforce(session_id=token, instance_url=server.url, session=session, version="58.0")


def whole(salesforce):
    return [record["Id"] for record in salesforce.query_all_iter(QUERY)]


def one_page(salesforce, session):
    return session.get(f"{salesforce.base_url}query", params={"q": QUERY})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_next_requests_fail_with_the_status_that_was_ordered(server, salesforce, session, status):
    server.control.fail_next(status, path="*/query*", times=2, retry_after=7)
    for _ in range(2):
        refused = one_page(salesforce, session)
        assert (refused.status_code, refused.headers["Retry-After"]) == (status, "7")
        assert refused.json()[0]["errorCode"]
    assert one_page(salesforce, session).ok


def test_a_failure_can_come_after_some_pages_and_leaves_other_paths_alone(server, salesforce):
    server.control.fail_next(503, path="*/query/*", after=2)
    assert salesforce.limits()
    pages = salesforce.query_all_iter(QUERY)
    with pytest.raises(Exception, match="SERVER_UNAVAILABLE"):
        list(pages)
    assert len(whole(salesforce)) == len(set(whole(salesforce))) > 400


def test_a_query_can_time_out_in_the_vendors_words(server, salesforce):
    server.control.fail_next(
        400, code="QUERY_TIMEOUT", message="Your query request was running for too long."
    )
    with pytest.raises(SalesforceMalformedRequest, match="QUERY_TIMEOUT"):
        salesforce.query(QUERY)


def test_the_session_ends_in_the_middle_of_paging(server, salesforce):
    server.control.expire_sessions(after_pages=2)
    pages = salesforce.query_all_iter(QUERY)
    assert [next(pages)["Id"] for _ in range(200)]
    with pytest.raises(SalesforceExpiredSession):
        next(pages)


def test_a_locator_expires(server, salesforce):
    first = salesforce.query(QUERY)
    server.control.expire_locators()
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_QUERY_LOCATOR"):
        salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)


def test_a_body_is_shorter_than_it_says(server, salesforce, session):
    server.control.truncate_next(path="*/query")
    with pytest.raises(requests.exceptions.RequestException):
        one_page(salesforce, session)
    assert one_page(salesforce, session).ok


def test_a_body_is_no_json_and_has_the_length_that_it_says(server, salesforce, session):
    server.control.garble_next(path="*/query")
    broken = one_page(salesforce, session)
    assert int(broken.headers["Content-Length"]) == len(broken.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        broken.json()


def test_a_connection_is_cut(server, salesforce, session):
    server.control.cut_next(path="*/query")
    with pytest.raises(requests.exceptions.ConnectionError) as cut:
        one_page(salesforce, session)
    assert isinstance(cut.value.args[0].args[1], http.client.RemoteDisconnected | OSError)


def test_a_page_is_slow(server, salesforce, session):
    server.control.slow_next(0.3, path="*/query")
    started = time.monotonic()
    one_page(salesforce, session)
    assert time.monotonic() - started >= 0.3


def test_a_bulk_job_fails_and_the_next_does_not(server, salesforce):
    server.control.fail_next_job("InternalServerError : retried too many times")
    with pytest.raises(SalesforceOperationError, match="retried too many times"):
        next(salesforce.bulk2.Lead.query(QUERY, wait=0.05))
    assert next(salesforce.bulk2.Lead.query(QUERY, wait=0.05)).startswith('"Id","LastName"')


def test_what_was_ordered_can_be_taken_back(server, salesforce, session):
    server.control.cut_next(times=50)
    server.control.behave()
    assert one_page(salesforce, session).ok


def test_a_column_appears_vanishes_and_changes_its_type(server, salesforce):
    server.control.add_column("Lead", "Score__c", "double", 12.5)
    assert salesforce.query("SELECT Score__c FROM Lead LIMIT 1")["records"][0]["Score__c"] == 12.5
    server.control.drop_column("Lead", "Rating")
    with pytest.raises(SalesforceMalformedRequest, match="No such column 'Rating'"):
        salesforce.query("SELECT Rating FROM Lead")
    server.control.retype_column("Lead", "NumberOfEmployees", "string")
    held = salesforce.query("SELECT NumberOfEmployees FROM Lead WHERE NumberOfEmployees != null LIMIT 1")
    assert held["records"][0]["NumberOfEmployees"].isdigit()
    fields = {each["name"]: each["type"] for each in salesforce.Lead.describe()["fields"]}
    assert fields["Score__c"] == "double"
    assert "Rating" not in fields
    assert fields["NumberOfEmployees"] == "string"


def test_a_record_turns_up_late_with_an_older_stamp(server, salesforce):
    late = server.control.hold_back("Lead", {"LastName": "Late", "Company": "Slow Ltd"}, minutes=5)
    query = f"SELECT SystemModstamp FROM Lead WHERE Id = '{late}'"
    assert salesforce.query(query)["totalSize"] == 0
    assert late not in {row["Id"] for row in server.world.truth("leads")}
    server.control.release()
    shown = salesforce.query(query)["records"][0]["SystemModstamp"]
    assert shown < server.world.now.strftime("%Y-%m-%dT%H:%M")
    assert late in {row["Id"] for row in server.world.truth("leads")}


def test_a_page_shows_a_record_as_it_is_when_the_page_is_read(server, salesforce):
    first = salesforce.query(QUERY)
    last = whole(salesforce)[-1]
    server.control.update("Lead", [last], LastName="Changed")
    rest = []
    while not first["done"]:
        first = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
        rest += first["records"]
    assert (rest[-1]["Id"], rest[-1]["LastName"]) == (last, "Changed")


def test_a_mistaken_order_is_refused_with_a_reason(server, session):
    asked = session.post(f"{server.url}/_sandbox/explode", json={})
    assert (asked.status_code, "no command 'explode'" in asked.json()["error"]) == (400, True)
    asked = session.post(f"{server.url}/_sandbox/drop_column", json={"sobject": "Lead", "name": "Shoe"})
    assert (asked.status_code, asked.json()["error"]) == (400, "Lead has no field 'Shoe'")
    with pytest.raises(ValueError, match="whose values are no date"):
        server.control.retype_column("Lead", "Rating", "date")


def test_the_same_orders_can_be_given_over_http(server, salesforce, session):
    order = {"status": 503, "path": "*/query", "times": 1}
    assert session.post(f"{server.url}/_sandbox/fail_next", json=order).ok
    assert one_page(salesforce, session).status_code == 503
    (made,) = session.post(
        f"{server.url}/_sandbox/insert",
        json={
            "sobject": "Opportunity",
            "rows": [{"Name": "By hand", "Amount": 12.5, "CloseDate": "2026-07-01"}],
        },
    ).json()
    row = next(row for row in server.world.truth("opportunities") if row["Id"] == made)
    assert (str(row["Amount"]), row["CloseDate"].isoformat(), row["IsWon"]) == ("12.5", "2026-07-01", False)
