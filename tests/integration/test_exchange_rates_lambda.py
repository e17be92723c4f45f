"""The Lambda of exchange rates, from an API over HTTP into a bucket, and on into bronze."""

import ast
import json
import re
from datetime import date
from pathlib import Path
from zlib import crc32

import pytest
import yaml

from data_platform.bronze.load import load
from data_platform.connectors.landing.connector import LandingFiles
from data_platform.lambdas import exchange_rates
from data_platform.lambdas.exchange_rates import RatesUnusable, handler
from data_platform.settings import Settings
from data_platform.sources.rest_api import EXCHANGE_RATES
from sandbox.landing.rates import RatesServer, rates_on
from sandbox.landing.zone import LandingBucket, LocalAws

FRIDAY = date(2026, 6, 5)


@pytest.fixture(scope="module")
def aws():
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def api():
    with RatesServer(FRIDAY) as server:
        yield server


@pytest.fixture
def bucket(aws, tmp_path) -> LandingBucket:
    return LandingBucket(aws, f"rates-{crc32(tmp_path.name.encode())}")


@pytest.fixture(autouse=True)
def environment(monkeypatch, aws, api, bucket):
    """What Lambda's own environment holds; the role's keys are in it under the SDK's names."""
    for name, value in (bucket.settings() | api.settings() | {"EXCHANGE_RATES_BASE": "USD"}).items():
        monkeypatch.setenv({"AWS_REGION": "AWS_DEFAULT_REGION"}.get(name, name), value)
    monkeypatch.setattr(exchange_rates, "FIRST_WAIT", 0.01)


def event(day: date) -> dict:
    return {"time": f"{day.isoformat()}T16:30:00Z", "source": "aws.events"}


def objects(bucket: LandingBucket) -> dict[str, dict]:
    listed = bucket.s3.list_objects_v2(Bucket=bucket.bucket).get("Contents", ())
    return {
        each["Key"]: json.load(bucket.s3.get_object(Bucket=bucket.bucket, Key=each["Key"])["Body"])
        for each in listed
    }


def test_a_day_s_answer_is_written_as_it_came_under_the_day_s_key(bucket):
    key = "zone/raw/api-data/exchange_rates/2026/06/05/USD.json"
    assert handler(event(FRIDAY), None) == {"key": key, "rates": 7, "written": True}
    assert objects(bucket) == {
        key: {"amount": 1.0, "base": "USD", "date": "2026-06-05", "rates": dict(rates_on(FRIDAY))}
    }


def test_a_second_event_of_a_day_changes_nothing(bucket, api):
    handler(event(FRIDAY), None)
    before = objects(bucket)
    api.today = date(2026, 6, 4)
    assert handler(event(FRIDAY), None)["written"] is False
    assert objects(bucket) == before


def test_what_it_writes_lands_and_a_weekend_adds_no_row(bucket, api, lake):
    settings = Settings(_env_file=None)
    for day, landed in ((5, 7), (6, 0), (7, 0), (8, 7)):
        api.today = date(2026, 6, day)
        handler(event(api.today), None)
        assert load(EXCHANGE_RATES, LandingFiles(settings), lake, 1_000).receipt.landed == landed
    held = lake.bronze(EXCHANGE_RATES).query('select "date", "currency", "rate" from held').to_pylist()
    assert {(row["date"], row["currency"]): float(row["rate"]) for row in held} == {
        (day, currency): rate
        for day in (FRIDAY, date(2026, 6, 8))
        for currency, rate in rates_on(day).items()
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_waited_out(bucket, api, status):
    api.broken = [(status, {"Retry-After": "0"}, b"busy"), (status, {}, b"busy")]
    assert handler(event(FRIDAY), None)["written"]
    assert api.asked == 3


def document(**said) -> bytes:
    usual = {"amount": 1.0, "base": "USD", "date": "2026-06-05", "rates": {"EUR": 0.92}}
    return json.dumps(usual | said).encode()


UNUSABLE = {
    "cut": (document()[:-10], "no document with base, date and rates"),
    "a list": (b"[]", "no document with base, date and rates"),
    "another base": (document(base="EUR"), "rates for USD were asked for"),
    "old": (document(date="2026-05-28"), "the API's newest rates are those of 2026-05-28"),
    "ahead": (document(date="2026-06-07"), "the API's newest rates are those of 2026-06-07"),
    "empty": (document(rates={}), "names no currency"),
    "zero": (document(rates={"EUR": 0, "GBP": 0.8}), "1 of 2 rates are no positive number"),
    "text": (document(rates={"EUR": "0.92"}), "1 of 1 rates are no positive number"),
}


@pytest.mark.parametrize(("body", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_answer_that_is_not_what_was_asked_for_is_not_written(bucket, api, body, said):
    api.broken = [(200, {}, body)]
    with pytest.raises(RatesUnusable, match=said):
        handler(event(FRIDAY), None)
    assert objects(bucket) == {}


def test_an_api_that_stays_down_or_does_not_know_the_base_is_told_with_the_settings(api, monkeypatch):
    api.broken = [(503, {}, b"")] * 4
    with pytest.raises(
        RatesUnusable, match=r"asked 4 times, the last time it answered 503.*EXCHANGE_RATES_URL"
    ):
        handler(event(FRIDAY), None)
    monkeypatch.setenv("EXCHANGE_RATES_BASE", "XXX")
    with pytest.raises(
        RatesUnusable, match=r"asked 1 times, the last time it answered 404.*EXCHANGE_RATES_BASE"
    ):
        handler(event(FRIDAY), None)


def test_its_stack_gives_it_the_settings_that_it_reads_and_a_daily_schedule():
    source = Path(exchange_rates.__file__)
    template = re.sub(r"!(Ref|Sub|GetAtt)\b", "", source.with_suffix(".yaml").read_text())
    resources = yaml.safe_load(template)["Resources"]
    fetch = resources["Fetch"]["Properties"]
    reads = set(re.findall(r"os\.environ\[['\"](\w+)['\"]\]", source.read_text()))
    assert set(fetch["Environment"]["Variables"]) == reads
    functions = {
        each.name for each in ast.parse(source.read_text()).body if isinstance(each, ast.FunctionDef)
    }
    assert (fetch["Code"], fetch["Handler"].split(".")) == (source.name, ["exchange_rates", "handler"])
    assert "handler" in functions
    assert resources["Daily"]["Properties"]["ScheduleExpression"] == "cron(30 16 * * ? *)"
