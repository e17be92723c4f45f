"""Trouble on the way: the content is right afterwards, or the error says what to do."""

import time
from datetime import timedelta
from threading import Timer

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.connectors.salesforce import Salesforce
from data_platform.connectors.salesforce.auth import SalesforceAuth
from data_platform.sources.salesforce import LEADS

BULK = {"salesforce_bulk_threshold": 1}
PAGES = "*/query*"
RESULTS = "*/results"


def agrees_with_truth(bronze, company):
    truth = {row["Id"]: row["SystemModstamp"] for row in company.world.truth("leads")}
    assert {row["Id"]: row["SystemModstamp"] for row in bronze.rows} == truth
    assert len(bronze.rows) == len(truth)


TROUBLE = {
    "429": lambda control, path, **when: control.fail_next(429, path, times=2, **when),
    "500": lambda control, path, **when: control.fail_next(500, path, times=3, **when),
    "503": lambda control, path, **when: control.fail_next(503, path, retry_after=0, **when),
    "cut": lambda control, path, **when: control.cut_next(path, **when),
    "truncated": lambda control, path, **when: control.truncate_next(path, **when),
    "malformed": lambda control, path, **when: control.garble_next(path, times=2, **when),
}


@pytest.mark.parametrize("after", [0, 2], ids=["at once", "later"])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_in_a_page_is_asked_again(company, trouble, after):
    TROUBLE[trouble](company.control, PAGES, after=after)
    bronze = company.bronze(LEADS)
    bronze.load()
    agrees_with_truth(bronze, company)
    assert company.control.status()["misbehaviours to come"] == 0


@pytest.mark.parametrize("after", [1, 3], ids=["at once", "later"])
def test_a_page_too_long_to_be_checked_is_asked_again_when_it_can_not_be_decoded(company, monkeypatch, after):
    monkeypatch.setattr("data_platform.connectors.http.LONGEST_CHECKED", 200)
    company.control.garble_next(PAGES, times=2, after=after)
    bronze = company.bronze(LEADS)
    bronze.load()
    agrees_with_truth(bronze, company)
    assert company.control.status()["misbehaviours to come"] == 0


@pytest.mark.parametrize("trouble", TROUBLE)
def test_trouble_in_a_bulk_result_is_asked_again(company, monkeypatch, trouble):
    monkeypatch.setattr("data_platform.connectors.salesforce.bulk.PAGE_ROWS", 200)
    TROUBLE[trouble](company.control, RESULTS, after=1)
    bronze = company.bronze(LEADS, **BULK)
    bronze.load()
    agrees_with_truth(bronze, company)
    assert company.control.status()["misbehaviours to come"] == 0


def test_a_slow_page_times_out_and_is_asked_again(company):
    bronze = company.bronze(LEADS, http_timeout=0.3)
    company.control.slow_next(1.0, PAGES)
    bronze.load()
    agrees_with_truth(bronze, company)


def test_a_wait_that_the_vendor_asks_for_is_kept(company):
    bronze = company.bronze(LEADS)
    company.control.fail_next(503, PAGES, retry_after=1)
    started = time.monotonic()
    bronze.load()
    assert time.monotonic() - started >= 1
    agrees_with_truth(bronze, company)


def test_when_retries_end_the_error_says_what_was_asked_and_what_came(company):
    company.control.fail_next(503, PAGES, times=10)
    with pytest.raises(
        SourceError, match=r"Salesforce could not be read: GET .*/queryAll was asked 3 times.*503"
    ):
        company.bronze(LEADS, http_retries=2).load()


def test_a_token_that_expires_in_the_middle_is_renewed_once(company, monkeypatch):
    logins = counted_logins(monkeypatch)
    company.control.expire_sessions(after_pages=2)
    bronze = company.bronze(LEADS)
    bronze.load()
    agrees_with_truth(bronze, company)
    assert len(logins) == 2


def counted_logins(monkeypatch):
    logins, login = [], SalesforceAuth.login
    monkeypatch.setattr(SalesforceAuth, "login", lambda self: logins.append(1) or login(self))
    return logins


def test_a_token_that_expired_between_loads_is_renewed(company):
    connector, bronze = Salesforce(company.settings()), company.bronze(LEADS)
    bronze.load()
    list(connector.offer(LEADS, bronze).parts)
    company.control.expire_sessions()
    assert list(connector.offer(LEADS, bronze).parts) == []


def test_a_query_that_the_vendor_forgot_goes_on_from_the_last_row(company):
    bronze = company.bronze(LEADS)
    offer = Salesforce(company.settings()).offer(LEADS, bronze)
    rows = []
    for part in offer.parts:
        for number, batch in enumerate(part.batches):
            rows += batch.rows.to_pylist()
            if number == 1:
                company.control.expire_locators()
    assert len(rows) == len({row["Id"] for row in rows}) == len(company.world.truth("leads"))


def test_a_failed_bulk_job_is_asked_again(company):
    company.control.fail_next_job()
    bronze = company.bronze(LEADS, **BULK)
    bronze.load()
    agrees_with_truth(bronze, company)


def test_a_result_that_is_gone_is_asked_again(company):
    company.control.fail_next(404, RESULTS, code="NOT_FOUND", message="The requested resource does not exist")
    bronze = company.bronze(LEADS, **BULK)
    bronze.load()
    agrees_with_truth(bronze, company)


@pytest.mark.parametrize("fails", [False, True])
def test_no_bulk_job_stays_behind(company, fails):
    if fails:
        company.control.fail_next_job()
    company.bronze(LEADS, **BULK).load()
    assert company.server.org.jobs == {}


def test_a_spent_quota_is_waited_for(company):
    company.control.limit_calls(100, used=95)
    opening = Timer(0.3, company.control.open_next_window)
    opening.start()
    bronze = company.bronze(LEADS)
    bronze.load()
    opening.join()
    agrees_with_truth(bronze, company)


@pytest.mark.parametrize("used", [95, 100])
def test_a_quota_that_stays_spent_ends_the_run_with_the_position_where_it_was(company, used):
    bronze = company.bronze(LEADS, salesforce_quota_patience=timedelta(seconds=0.2))
    bronze.load(killed_after=2)
    position = bronze.position
    company.control.limit_calls(100, used=used)
    with pytest.raises(QuotaReached, match=r"SALESFORCE_QUOTA_RESERVE"):
        bronze.load()
    assert bronze.position == position
    company.control.open_next_window()
    bronze.load()
    agrees_with_truth(bronze, company)


def test_each_grant_logs_in(company):
    credentials = company.server.credentials
    for chosen in (
        {},
        {"salesforce_refresh_token": None},
        {
            "salesforce_refresh_token": None,
            "salesforce_username": credentials.username,
            "salesforce_private_key": credentials.private_key,
        },
    ):
        bronze = company.bronze(LEADS, **chosen)
        bronze.load()
        agrees_with_truth(bronze, company)


OTHER_KEY = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@pytest.mark.parametrize(
    ("wrong", "to_check"),
    [
        ({"salesforce_client_id": "wrong-value"}, "SALESFORCE_CLIENT_ID"),
        ({"salesforce_client_secret": "wrong-value"}, "SALESFORCE_CLIENT_SECRET"),
        ({"salesforce_refresh_token": "wrong-value"}, "SALESFORCE_REFRESH_TOKEN"),
        (
            {"salesforce_refresh_token": None, "salesforce_client_secret": "wrong-value"},
            "SALESFORCE_CLIENT_SECRET",
        ),
        (
            {
                "salesforce_refresh_token": None,
                "salesforce_username": "wrong-value",
                "salesforce_private_key": OTHER_KEY,
            },
            "SALESFORCE_USERNAME",
        ),
        ({"salesforce_refresh_token": None, "salesforce_username": "wrong-value"}, "SALESFORCE_PRIVATE_KEY"),
        ({"salesforce_client_id": None}, "SALESFORCE_CLIENT_ID"),
    ],
)
def test_a_refused_login_names_the_setting_and_no_secret(company, wrong, to_check):
    with pytest.raises(CredentialsRefused, match=to_check) as refused:
        company.bronze(LEADS, **wrong).load()
    told = str(refused.value)
    assert "wrong-value" not in told
    assert company.server.credentials.client_secret not in told
    assert "PRIVATE KEY-----" not in told


def test_an_unreachable_host_is_named(company):
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/.*took no connection"):
        company.bronze(LEADS, http_retries=1, salesforce_login_url="https://127.0.0.1:1").load()


def test_an_unknown_host_is_named(company):
    with pytest.raises(SourceError, match=r"nowhere\.invalid.*host name is not known"):
        company.bronze(LEADS, http_retries=1, salesforce_login_url="https://nowhere.invalid").load()


def test_an_unknown_authority_is_named(company, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(SourceError, match="certificate is not signed by"):
        company.bronze(LEADS, salesforce_ca_bundle=None).load()


def test_our_ca_bundle_wins_over_that_of_the_environment(company, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    other.write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    bronze = company.bronze(LEADS)
    bronze.load()
    agrees_with_truth(bronze, company)


def test_without_our_ca_bundle_that_of_the_environment_stands(company, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company.server.ca_file))
    bronze = company.bronze(LEADS, salesforce_ca_bundle=None)
    bronze.load()
    agrees_with_truth(bronze, company)


def test_a_refused_question_is_told_without_the_record_in_it(company):
    company.control.fail_next(
        400, PAGES, code="MALFORMED_QUERY", message="Id > '00QHs0000000000MAA' unexpected token"
    )
    with pytest.raises(SourceError, match="MALFORMED_QUERY: Id > '<an Id>' unexpected token"):
        company.bronze(LEADS).load()
