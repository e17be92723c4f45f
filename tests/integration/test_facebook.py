"""What lands from Facebook is what its accounts hold, day by day, however it is asked and whatever it answers."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.connectors.facebook.connector import Facebook
from data_platform.settings import Settings
from data_platform.sources.facebook import FACEBOOK_ADS
from sandbox.facebook.server import FIELDS, VERSION, FacebookServer, error
from sandbox.vendor import Answer, Instead, Request
from sandbox.world.ads import ACCOUNTS, AdWorld

HISTORY = 40
LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=HISTORY - 1)
EUROPE = ACCOUNTS["facebook"][0]
NEWEST = """
    select * from (select *, row_number() over (partition by ad_id, date_start order by _batch desc) as place
    from held) where place = 1 and _op = 'upsert'
"""


class Ads:
    """A Facebook, and a bronze table that loads from it."""

    def __init__(self, server: FacebookServer, lake) -> None:
        self.server = server
        self.world = server.world
        self.lake = lake

    def load(self, days=None, commit_rows=50_000, **settings):
        given = {name.lower(): value for name, value in self.server.settings().items()}
        given |= {"window_history": timedelta(days=HISTORY)} | settings
        return load(FACEBOOK_ADS, Facebook(Settings(_env_file=None, **given)), self.lake, commit_rows, days)

    @property
    def held(self):
        return self.lake.bronze(FACEBOOK_ADS)

    def live(self) -> list[tuple]:
        found = self.held.query(NEWEST)
        columns = [found.column(column.name).to_pylist() for column in FACEBOOK_ADS.columns]
        return sorted(zip(*columns, strict=True), key=str)

    def truth(self, first=FIRST, last=LAST, accounts=ACCOUNTS["facebook"]) -> list[tuple]:
        rows = [row for account in accounts for row in self.world.rows("facebook", account, first, last)]
        return sorted((true_values(row) for row in rows), key=str)


def true_values(row) -> tuple:
    names = [column.name for column in FACEBOOK_ADS.columns]
    said = {name: value(row) for name, value in FIELDS.items()}
    said |= {"impressions": row.impressions, "clicks": row.clicks, "spend": row.spend, "date_start": row.day}
    said |= {"reach": row.impressions // 2, "inline_link_clicks": row.clicks // 2}
    return tuple(said[name] for name in names)


@pytest.fixture
def ads(lake, monkeypatch) -> Iterator[Ads]:
    monkeypatch.setattr("data_platform.connectors.http.FIRST_WAIT", 0.01)
    monkeypatch.setattr("data_platform.connectors.patience.FIRST_LOOK", 0.01)
    monkeypatch.setattr("data_platform.connectors.facebook.graph.MINUTE", 0.02)
    monkeypatch.setattr("data_platform.connectors.facebook.connector.PAGE_ROWS", 100)
    with FacebookServer(AdWorld(ads=20)) as server:
        yield Ads(server, lake)


def test_a_first_load_lands_the_history_of_every_account(ads):
    loaded = ads.load()
    assert ads.live() == ads.truth()
    assert loaded.receipt.landed == len(ads.truth())
    assert loaded.position["days"] == {account.id: "2026-05-31" for account in ACCOUNTS["facebook"]}
    assert ads.held.query("select _origin from held where _rescued is not null").num_rows == 0


@pytest.mark.parametrize(
    "told",
    [
        lambda page: dict(reversed(page.items())),
        lambda page: {"notes": ["["], **page, "summary": [{"paging": {"next": "of nobody"}}]},
        lambda page: {**page, "paging": {"filtering": "[]", **page["paging"]}},
    ],
    ids=["before its rows", "between other lists", "with brackets"],
)
def test_the_next_page_is_found_wherever_a_page_names_it(ads, told):
    answer = ads.server.server.answer

    def told_otherwise(request: Request) -> Answer:
        given = answer(request)
        page = json.loads(given.body)
        return replace(given, body=json.dumps(told(page)).encode()) if "paging" in page else given

    ads.server.server.answer = told_otherwise
    ads.load()
    assert ads.live() == ads.truth()


def test_a_quiet_source_lands_no_row_and_leaves_no_commit(ads):
    ads.load()
    version = ads.held.version
    again = ads.load()
    assert (again.receipt.landed, ads.held.version) == (0, version)
    assert again.receipt.overlap == len(ads.truth(LAST - timedelta(days=27)))


def test_each_day_lands_its_own_rows_and_what_was_restated_once(ads):
    ads.load()
    for number in range(1, 4):
        before = set(ads.live())
        ads.world.advance()
        loaded = ads.load()
        truth = ads.truth(last=LAST + timedelta(days=number))
        assert ads.live() == truth
        assert loaded.receipt.landed == len(set(truth) - before) < len(truth) / 4
        assert ads.load().receipt.landed == 0


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns as often as can be, in the middle of whatever they do."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_reports_that_are_asked_for_at_once_are_each_of_their_own(ads, impatient):
    """The stand-in once gave two the same number, and so one the other's days."""
    asked = {"fields": "ad_id", "time_range": json.dumps({"since": f"{LAST}", "until": f"{LAST}"})}
    headers = {"Authorization": f"Bearer {ads.server.token}"}
    report = Request("POST", f"/{VERSION}/act_{EUROPE.id}/insights", asked, headers)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ads.server.server.answer(report).body, range(400)))
    assert len(set(answers)) == 400


def test_a_value_that_goes_back_lands_again(ads):
    ads.load()
    key = ("facebook", f"{EUROPE.id}000005", LAST)
    ads.world.restated[key] = {"clicks": 7}
    assert ads.load().receipt.landed == 1
    del ads.world.restated[key]
    assert ads.load().receipt.landed == 1
    assert ads.live() == ads.truth()


def test_a_row_that_vanished_becomes_a_tombstone_and_may_come_back(ads):
    ads.load()
    key = ("facebook", f"{EUROPE.id}000005", LAST)
    ads.world.vanished.add(key)
    assert ads.load().receipt.landed == 1
    assert ads.live() == ads.truth()
    (gone,) = ads.held.query("select * from held where _op = 'delete'").to_pylist()
    told = {name: gone[name] for name in FACEBOOK_ADS.by_name if gone[name] is not None}
    assert told == {"ad_id": key[1], "date_start": LAST}
    assert ads.load().receipt.landed == 0
    ads.world.vanished.clear()
    assert ads.load().receipt.landed == 1
    assert ads.live() == ads.truth()


def test_an_account_that_is_left_out_keeps_its_rows_and_one_that_is_added_gets_its_history(ads):
    ads.load(facebook_ads_account_id=EUROPE.id)
    assert ads.live() == ads.truth(accounts=[EUROPE])
    ads.load()
    assert ads.live() == ads.truth()
    assert ads.load(facebook_ads_account_id=f"act_{EUROPE.id}").receipt.landed == 0
    assert ads.live() == ads.truth()


def test_a_killed_first_load_goes_on_after_its_last_whole_days(ads):
    ads.server.server.tell(Instead("GET */insights", error(100, "killed", 400), after=11))
    with pytest.raises(SourceError):
        ads.load(commit_rows=1)
    reached = date.fromisoformat(ads.held.position["days"][EUROPE.id])
    assert FIRST < reached < LAST
    committed = len(ads.live())
    loaded = ads.load(commit_rows=1)
    assert ads.live() == ads.truth()
    assert loaded.receipt.landed == len(ads.truth()) - committed
    assert ads.held.rows == len(ads.truth())


def test_days_that_are_asked_for_are_read_again_and_leave_the_position(ads):
    ads.load()
    position = ads.held.position
    day = LAST - timedelta(days=35)
    ads.world.restated["facebook", f"{EUROPE.id}000005", day] = {"clicks": 7}
    assert ads.load().receipt.landed == 0
    assert ads.load(days=(day, day)).receipt.landed == 1
    assert ads.held.position == position
    assert ads.live() == ads.truth()


def test_what_changed_while_no_load_ran_lands_with_the_next(ads):
    ads.load()
    position = ads.held.position
    ads.world.advance(5)
    last = LAST + timedelta(days=5)
    assert ads.load(days=(last, last)).receipt.landed == 40
    assert ads.held.position == position
    ads.load()
    assert ads.live() == ads.truth(last=last)


def test_a_backfill_before_the_first_load_lands_its_days_once(ads):
    days = (LAST - timedelta(days=89), LAST)
    assert ads.load(days=days).receipt.landed == 90 * 40
    assert ads.load().receipt.landed == 0
    assert ads.live() == ads.truth(days[0])


def test_today_is_not_read_before_it_is_over(ads):
    today = LAST + timedelta(days=1)
    assert ads.load(days=(LAST, today + timedelta(days=3))).receipt.landed == 40
    assert ads.live() == ads.truth(LAST)


@pytest.mark.parametrize("code", [4, 17, 613, 80000, 80004])
def test_throttling_is_waited_out(ads, code):
    ads.server.refuse(code, "*insights", times=2, after=3, usage=1)
    ads.load()
    assert ads.live() == ads.truth()


def test_throttling_that_outlasts_the_patience_ends_the_load_and_the_next_goes_on(ads):
    ads.server.refuse(80000, "GET */insights", times=3, after=11, usage=100)
    with pytest.raises(
        QuotaReached, match=r"Facebook: its usage limit is reached; it wants .* run again later"
    ):
        ads.load(commit_rows=1, window_patience=timedelta(seconds=1))
    assert ads.held.position
    ads.load()
    assert ads.live() == ads.truth()


def test_a_full_usage_header_pauses_before_the_limit_is_met(ads, monkeypatch):
    waits = []
    monkeypatch.setattr(
        "data_platform.connectors.patience.Patience.wait", lambda self, seconds, reason: waits.append(reason)
    )
    account = Answer(
        b'{"currency":"EUR","timezone_name":"Europe/Berlin"}',
        headers={"x-fb-ads-insights-throttle": '{"app_id_util_pct":10,"acc_id_util_pct":96.5}'},
    )
    ads.server.server.tell(Instead(f"GET */act_{EUROPE.id}", account))
    ads.load()
    assert waits.count("its usage limit is reached") == 1


def test_a_report_that_failed_is_asked_for_again(ads):
    ads.server.failing_reports = 2
    ads.load()
    assert ads.live() == ads.truth()


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (
            (190, 463),
            CredentialsRefused,
            "the access token has expired or was revoked.*FACEBOOK_ADS_ACCESS_TOKEN",
        ),
        ((2635, None), SourceError, "version of the Marketing API is not served.*FACEBOOK_ADS_BASE_URL"),
        ((803, None), CredentialsRefused, "no such account.*FACEBOOK_ADS_ACCOUNT_ID"),
        ((200, None), CredentialsRefused, "no such account.*ads_read"),
        ((100, 33), CredentialsRefused, "no such account"),
        ((2654, None), SourceError, "code 2654, which is not known here"),
    ],
)
def test_a_refusal_says_what_to_do(ads, told, kind, says):
    ads.server.server.tell(Instead("POST *", error(told[0], "refused", 400, told[1])))
    with pytest.raises(kind, match=says) as raised:
        ads.load()
    assert ads.server.token not in str(raised.value)


def test_a_field_that_is_not_served_any_more_is_named(ads):
    del ads.server.fields["reach"]
    with pytest.raises(SourceError, match=r"reach is not valid for fields param.*docs/source-changes.md"):
        ads.load()


def test_a_wrong_token_version_or_account_is_told_apart(ads):
    base = ads.server.settings()["FACEBOOK_ADS_BASE_URL"]
    for setting, says in (
        ({"facebook_ads_access_token": "EAAold"}, "FACEBOOK_ADS_ACCESS_TOKEN"),
        ({"facebook_ads_base_url": base.replace("v23.0", "v2.0")}, "FACEBOOK_ADS_BASE_URL"),
        ({"facebook_ads_account_id": "999"}, "FACEBOOK_ADS_ACCOUNT_ID"),
        ({"facebook_ads_account_id": " , "}, "FACEBOOK_ADS_ACCOUNT_ID is not set"),
        ({"facebook_ads_base_url": None}, "set FACEBOOK_ADS_BASE_URL"),
    ):
        with pytest.raises(SourceError, match=says) as raised:
            ads.load(**setting)
        assert "EAAold" not in str(raised.value)


@pytest.mark.parametrize("way", ["cut", "truncate", "garble"])
def test_a_connection_or_page_that_breaks_is_asked_for_again(ads, way):
    ads.server.server.tell(Instead("GET */insights", way=way, times=2, after=3))
    ads.load()
    assert ads.live() == ads.truth()


def test_an_outage_is_waited_out(ads):
    ads.server.server.tell(Instead("*", Answer(status=503), times=2, after=2))
    ads.load()
    assert ads.live() == ads.truth()


def test_planted_faults_land_as_they_are(ads):
    ads.load()
    planted = ads.world.planted("facebook", FIRST, LAST)
    for fault, condition in (
        ("negative spend", "spend < 0"),
        ("clicks above impressions", "clicks > impressions"),
        ("unknown currency", "account_currency = 'XXX'"),
    ):
        assert ads.held.query(f"select 1 from held where {condition}").num_rows == planted[fault] > 0
