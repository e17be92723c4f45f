"""What the peers ask the ad platforms and CleverTap: the same days, fields and pages as the platform does.

They read the addresses and logins from the platform's own settings, in the environment.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta

import requests

from benchmarks.loads.job import Job
from data_platform.sources.catalogue import table_named

SLICE_DAYS = 7
PAGE_ROWS = 5_000


def bodies(job: Job) -> Iterator[tuple[str, bytes]]:
    """Each page as it came, and what it was asked about."""
    with requests.Session() as session:
        session.trust_env = False
        yield from ASKED[job.table](session, job)


def slices(job: Job) -> Iterator[tuple[date, date]]:
    first, end = date.fromisoformat(job.first_day), date.fromisoformat(job.last_day)
    while first <= end:
        last = min(first + timedelta(days=SLICE_DAYS - 1), end)
        yield first, last
        first = last + timedelta(days=1)


def facebook_pages(session: requests.Session, job: Job) -> Iterator[tuple[str, bytes]]:
    url = os.environ["FACEBOOK_ADS_BASE_URL"]
    session.headers["Authorization"] = f"Bearer {os.environ['FACEBOOK_ADS_ACCESS_TOKEN']}"
    fields = ",".join(
        column.name for column in table_named(job.table).columns if not column.name.startswith("date_")
    )
    for account in os.environ["FACEBOOK_ADS_ACCOUNT_ID"].split(","):
        for first, last in slices(job):
            span = json.dumps({"since": first.isoformat(), "until": last.isoformat()})
            form = {"level": "ad", "time_increment": "1", "time_range": span, "fields": fields}
            run = whole(session.post(f"{url}/act_{account}/insights", data=form)).json()["report_run_id"]
            if whole(session.get(f"{url}/{run}")).json()["async_status"] != "Job Completed":
                raise RuntimeError("the stand-in of this benchmark computes reports at once")
            after: dict[str, str] | None = {}
            while after is not None:
                page = whole(session.get(f"{url}/{run}/insights", params={"limit": str(PAGE_ROWS), **after}))
                yield account, page.content
                following = re.search(rb'"after":"(\d+)"\},"next"', page.content[-500:])
                after = {"after": following[1].decode()} if following else None


def google_pages(session: requests.Session, job: Job) -> Iterator[tuple[str, bytes]]:
    login = {
        "grant_type": "refresh_token",
        "client_id": os.environ["GOOGLE_ADS_CLIENT_ID"],
        "client_secret": os.environ["GOOGLE_ADS_CLIENT_SECRET"],
        "refresh_token": os.environ["GOOGLE_ADS_REFRESH_TOKEN"],
    }
    token = whole(session.post(os.environ["GOOGLE_ADS_TOKEN_URL"], data=login)).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    session.headers["developer-token"] = os.environ["GOOGLE_ADS_DEVELOPER_TOKEN"]
    session.headers["login-customer-id"] = os.environ["GOOGLE_ADS_LOGIN_CUSTOMER_ID"].replace("-", "")
    customer, table = os.environ["GOOGLE_ADS_CUSTOMER_ID"], table_named(job.table)
    fields = ", ".join(column.name for column in table.columns)
    url = f"{os.environ['GOOGLE_ADS_BASE_URL']}/customers/{customer}/googleAds:searchStream"
    for first, last in slices(job):
        days = f"segments.date BETWEEN '{first}' AND '{last}'"
        gaql = {"query": f"SELECT {fields} FROM {table.reads} WHERE {days}"}
        yield customer, whole(session.post(url, json=gaql)).content


def clevertap_pages(session: requests.Session, job: Job) -> Iterator[tuple[str, bytes]]:
    session.headers["X-CleverTap-Account-Id"] = os.environ["CLEVERTAP_ACCOUNT_ID"]
    session.headers["X-CleverTap-Passcode"] = os.environ["CLEVERTAP_PASSCODE"]
    url = f"{os.environ['CLEVERTAP_BASE_URL']}/1/events.json"
    events = re.findall(r"event_name=([^&]+)", table_named(job.table).reads)
    for first, last in slices(job):
        for event in events:
            asked = {"event_name": event, "from": int(f"{first:%Y%m%d}"), "to": int(f"{last:%Y%m%d}")}
            told = whole(session.post(url, params={"batch_size": PAGE_ROWS}, json=asked)).json()
            cursor = told["cursor"]
            while cursor:
                page = whole(session.get(url, params={"cursor": cursor})).content
                yield event, page
                following = re.search(rb'"next_cursor":"([^"]+)"', page[-500:])
                cursor = following[1].decode() if following else ""


def whole(answer: requests.Response) -> requests.Response:
    answer.raise_for_status()
    return answer


ASKED: Mapping[str, Callable[[requests.Session, Job], Iterator[tuple[str, bytes]]]] = {
    "facebook.facebook_ads": facebook_pages,
    "google.google_ads": google_pages,
    "clevertap.clevertap_events": clevertap_pages,
}
