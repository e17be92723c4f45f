"""What lands from Google Ads is what its customer holds, day by day, however its streams and logins behave."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.connectors.google_ads.connector import GoogleAds
from data_platform.settings import Settings
from data_platform.sources.google import GOOGLE_ADS
from sandbox.google_ads.server import FIELDS, GoogleAdsServer
from sandbox.vendor import Answer, Instead
from sandbox.world.ads import ACCOUNTS, AdWorld

HISTORY = 40
LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=HISTORY - 1)
(CUSTOMER,) = ACCOUNTS["google"]
NEWEST = """
    select * from (select *, row_number() over (partition by "ad_group_ad.ad.id", "segments.date"
    order by _batch desc) as place from held) where place = 1 and _op = 'upsert'
"""


class Ads:
    """A Google Ads, and a bronze table that loads from it."""

    def __init__(self, server: GoogleAdsServer, lake) -> None:
        self.server = server
        self.world = server.world
        self.lake = lake

    def load(self, days=None, commit_rows=50_000, **settings):
        given = {name.lower(): value for name, value in self.server.settings().items()}
        given |= {"window_history": timedelta(days=HISTORY)} | settings
        connector = GoogleAds(Settings(_env_file=None, **given))
        return load(GOOGLE_ADS, connector, self.lake, commit_rows, days)

    @property
    def held(self):
        return self.lake.bronze(GOOGLE_ADS)

    def live(self) -> list[tuple]:
        found = self.held.query(NEWEST)
        columns = [found.column(column.name).to_pylist() for column in GOOGLE_ADS.columns]
        return sorted(zip(*columns, strict=True), key=str)

    def truth(self, first=FIRST, last=LAST) -> list[tuple]:
        return sorted((true_values(row) for row in self.world.rows("google", CUSTOMER, first, last)), key=str)


def true_values(row) -> tuple:
    said = {name: value(row) for name, value in FIELDS.items()}
    said |= {"metrics.impressions": row.impressions, "metrics.clicks": row.clicks, "segments.date": row.day}
    said |= {"metrics.cost_micros": int(row.spend * Decimal(10**6))}
    return tuple(said[column.name] for column in GOOGLE_ADS.columns)


@pytest.fixture
def ads(lake, monkeypatch) -> Iterator[Ads]:
    monkeypatch.setattr("data_platform.connectors.http.FIRST_WAIT", 0.01)
    with GoogleAdsServer(AdWorld(ads=20), batch=50) as server:
        yield Ads(server, lake)


def test_a_first_load_lands_the_history(ads):
    loaded = ads.load()
    assert ads.live() == ads.truth()
    assert loaded.receipt.landed == HISTORY * 20
    assert loaded.position["days"] == {CUSTOMER.id: "2026-05-31"}
    assert ads.held.query("select 1 from held where _rescued is not null").num_rows == 0


def test_a_quiet_source_lands_no_row_and_leaves_no_commit(ads):
    ads.load()
    version = ads.held.version
    again = ads.load()
    assert (again.receipt.landed, again.receipt.overlap, ads.held.version) == (0, 30 * 20, version)


def test_a_day_later_lands_that_day_and_what_was_restated(ads):
    ads.load()
    before = set(ads.live())
    ads.world.advance()
    loaded = ads.load()
    truth = ads.truth(last=LAST + timedelta(days=1))
    assert ads.live() == truth
    assert loaded.receipt.landed == len(set(truth) - before)


def test_a_row_that_vanished_becomes_a_tombstone(ads):
    ads.load()
    ads.world.vanished.add(("google", f"{CUSTOMER.id}000005", LAST))
    assert ads.load().receipt.landed == 1
    assert ads.live() == ads.truth()
    assert ads.load().receipt.landed == 0


def test_a_killed_first_load_goes_on_and_lands_nothing_twice(ads):
    ads.server.refuse("queryError", "UNEXPECTED_INPUT", 400, "INVALID_ARGUMENT", after=4)
    with pytest.raises(SourceError, match="UNEXPECTED_INPUT, which is not known here"):
        ads.load(commit_rows=1)
    assert FIRST < date.fromisoformat(ads.held.position["days"][CUSTOMER.id]) < LAST
    ads.load()
    assert ads.live() == ads.truth()
    assert ads.held.rows == len(ads.truth())


def test_ninety_days_that_are_asked_for_are_one_load(ads):
    ads.load()
    first = LAST - timedelta(days=89)
    assert ads.load(days=(first, LAST)).receipt.landed == 50 * 20
    assert ads.live() == ads.truth(first)
    assert ads.held.position["days"] == {CUSTOMER.id: "2026-05-31"}


def test_an_expired_token_is_renewed_in_the_middle_of_a_load(ads):
    expired = Answer(b'[{"error":{"code":401}}]', 401)
    for after in (3, 5):
        ads.server.server.tell(Instead("POST *searchStream", expired, after=after))
    ads.load()
    assert ads.live() == ads.truth()
    assert ads.server.logins == 3


def test_a_stream_that_ends_in_an_error_does_not_count_as_read(ads):
    ads.server.break_off("internalError", "TRANSIENT_ERROR", after=2)
    ads.load()
    assert ads.live() == ads.truth()


def test_a_quota_that_comes_back_is_waited_for_as_long_as_it_says(ads):
    ads.server.refuse("quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED", 429, "RESOURCE_EXHAUSTED", after=2)
    ads.load()
    assert ads.live() == ads.truth()


@pytest.mark.parametrize("way", ["cut", "truncate", "garble"])
def test_a_stream_that_breaks_is_asked_for_again(ads, way):
    ads.server.server.tell(Instead("POST *searchStream", way=way, times=2, after=2))
    ads.load()
    assert ads.live() == ads.truth()


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (
            ("requestError", "UNSUPPORTED_VERSION", 400),
            SourceError,
            "not served any more. Set GOOGLE_ADS_BASE_URL",
        ),
        (
            ("authorizationError", "USER_PERMISSION_DENIED", 403),
            CredentialsRefused,
            "GOOGLE_ADS_LOGIN_CUSTOMER_ID",
        ),
        (("authenticationError", "CUSTOMER_NOT_FOUND", 401), CredentialsRefused, "GOOGLE_ADS_CUSTOMER_ID"),
        (
            ("authenticationError", "DEVELOPER_TOKEN_INVALID", 401),
            CredentialsRefused,
            "GOOGLE_ADS_DEVELOPER_TOKEN",
        ),
        (("quotaError", "EXCESSIVE_LONG_TERM_QUERY_COST", 400), QuotaReached, "run again later"),
    ],
)
def test_a_refusal_says_what_to_do(ads, told, kind, says):
    ads.server.refuse(*told, "REFUSED", times=9)
    with pytest.raises(kind, match=says) as raised:
        ads.load()
    for secret in (*ads.server.secrets.values(), *ads.server.tokens):
        assert secret not in str(raised.value)


def test_a_field_that_is_not_served_any_more_is_named(ads):
    del ads.server.fields["ad_group_ad.status"]
    with pytest.raises(SourceError, match=r"'ad_group_ad.status'.*docs/source-changes.md"):
        ads.load()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"google_ads_refresh_token": "1//old"}, "invalid_grant.*GOOGLE_ADS_REFRESH_TOKEN"),
        ({"google_ads_client_secret": "1//old"}, "invalid_client.*GOOGLE_ADS_CLIENT_SECRET"),
        ({"google_ads_developer_token": "1//old"}, "GOOGLE_ADS_DEVELOPER_TOKEN"),
        ({"google_ads_login_customer_id": None}, "GOOGLE_ADS_LOGIN_CUSTOMER_ID"),
        ({"google_ads_customer_id": "123-456-7890"}, "GOOGLE_ADS_CUSTOMER_ID"),
        ({"google_ads_refresh_token": None}, "set GOOGLE_ADS_REFRESH_TOKEN"),
        ({"google_ads_base_url": None}, "set GOOGLE_ADS_BASE_URL"),
    ],
)
def test_a_wrong_setting_is_named(ads, setting, says):
    with pytest.raises(CredentialsRefused, match=says) as raised:
        ads.load(**setting)
    assert "1//old" not in str(raised.value)
