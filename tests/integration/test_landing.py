"""Landed files through the real loader into a real lake: what they hold, each object once, from a folder and S3."""

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.landing import connector
from data_platform.connectors.landing.appflow import AppFlow
from data_platform.connectors.landing.connector import LandingFiles
from data_platform.connectors.landing.storage import Bucket, Folder
from data_platform.declarations import Snapshot
from data_platform.settings import Settings
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import ACCOUNTS, TABLES
from sandbox.landing.answering import AnsweringServer
from sandbox.landing.files import FORMS
from sandbox.landing.rates import rates_on
from sandbox.landing.zone import LandingBucket, LandingFolder, LocalAws, land_object, land_rates
from sandbox.world.company import Sizes, World

DAY = date(2026, 6, 1)
BEFORE = date(2025, 6, 1)
BEGUN = datetime(2026, 6, 1, 6, tzinfo=UTC)


class Landing:
    """A landing zone, and the lake that is loaded from it."""

    def __init__(self, zone, lake, connector=LandingFiles) -> None:
        self.zone = zone
        self.lake = lake
        self.connector = connector

    def settings(self, **more) -> Settings:
        given = {name.lower(): value for name, value in self.zone.settings().items()}
        return Settings(_env_file=None, **(given | more))

    def load(self, table=ACCOUNTS, commit_rows=50_000):
        return load(table, self.connector(self.settings()), self.lake, commit_rows)

    def rows(self, table=ACCOUNTS, order="_batch") -> list[dict]:
        return self.lake.bronze(table).query(f"select * from held order by {order}").to_pylist()

    def quarantined(self, table=ACCOUNTS) -> list[dict]:
        held = self.lake.quarantine(table)
        return held.query('select * from held order by "_origin"').to_pylist() if held.exists else []

    def ids(self) -> list[str]:
        return sorted(row["Id"] for row in self.rows())


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def folder(tmp_path, lake) -> Landing:
    return Landing(LandingFolder(tmp_path / "landing"), lake)


@pytest.fixture
def bucket(aws, lake, tmp_path) -> Landing:
    return Landing(LandingBucket(aws, f"landing-{crc32(tmp_path.name.encode())}"), lake)


@pytest.fixture(params=["folder", "bucket"])
def landing(request) -> Landing:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def world() -> World:
    return World(sizes=Sizes(accounts=300, contacts=100, leads=100, opportunities=60))


def account(number: int, name: str = "Ltd", at: datetime = BEGUN) -> dict:
    return {"Id": f"{number:018d}", "Name": name, "SystemModstamp": at}


def accounts(*numbers: int, **said) -> list[dict]:
    return [account(number, **said) for number in numbers]


def ids(*numbers: int) -> list[str]:
    return [f"{number:018d}" for number in numbers]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_form_of_file_lands_what_is_true(folder, world, table, form):
    truth = {row["Id"]: row for row in world.truth(table.name)}
    offered = [{column.name: row[column.name] for column in table.columns} for row in truth.values()]
    land_object(folder.zone, table.reads, DAY, offered, form)
    loaded = folder.load(table)
    landed = {row["Id"]: row for row in folder.rows(table)}
    assert landed.keys() == truth.keys()
    for key, row in landed.items():
        for column in table.columns:
            value, true = row[column.name], truth[key][column.name]
            if column.type.kind == "json":
                value = json.loads(value) if value else None
            assert value == (None if true == "" and form.startswith("csv") else true), column.name
        assert row["_op"] == ("delete" if truth[key]["IsDeleted"] else "upsert")
        assert row["_rescued"] is None
    assert loaded.receipt.adds_up
    assert loaded.receipt.landed == loaded.receipt.offered == len(truth)


def test_a_row_says_which_file_it_is_from(landing):
    keys = [
        land_object(landing.zone, "Account", DAY, accounts(number), file=f"f{number}") for number in (1, 2)
    ]
    landing.load()
    assert [row["_origin"].split("@")[0] for row in landing.rows(order='"Id"')] == keys


def test_each_object_is_read_once(landing):
    land_object(landing.zone, "Account", DAY, accounts(1, 2))
    assert landing.load().receipt.landed == 2
    version = landing.lake.bronze(ACCOUNTS).version
    assert landing.load().receipt.offered == 0
    assert landing.lake.bronze(ACCOUNTS).version == version
    land_object(landing.zone, "Account", DAY, accounts(3), file="part-1")
    assert (landing.load().receipt.offered, landing.ids()) == (1, ids(1, 2, 3))


def test_an_object_that_changed_is_read_again_and_lands_what_is_new_in_it(landing):
    land_object(landing.zone, "Account", DAY, accounts(1, 2))
    landing.load()
    changed = [account(1), account(2, "Inc", BEGUN + timedelta(hours=1)), account(3)]
    land_object(landing.zone, "Account", DAY, changed)
    assert landing.load().receipt.says == "3 offered = 2 landed + 1 overlap + 0 quarantined"
    versions = [(row["Id"], row["Name"]) for row in landing.rows(order='"Id", "SystemModstamp"')]
    assert versions == list(zip(ids(1, 2, 2, 3), ("Ltd", "Ltd", "Inc", "Ltd"), strict=True))


WHOLE = FORMS["csv"](accounts(7, 8))
CORRUPT = {
    "half-written CSV": WHOLE[:-30],
    "an open quote": WHOLE.rstrip(b"\n") + b'\n"9',
    "half-written lines": FORMS["jsonl"](accounts(7, 8))[:-12],
    "a cut document": FORMS["jsonl"](accounts(7))[:-12],
    "a cut array": FORMS["json"](accounts(7, 8))[:-1],
    "a cut gzip": gzip.compress(WHOLE)[:-9],
    "a cut Parquet file": FORMS["parquet"](accounts(7, 8))[:-40],
    "noise": bytes(range(128, 256)) * 9,
    "another's columns": b"a,b\n1,2\n",
    "nothing": b"",
    "old line ends": WHOLE.replace(b"\n", b"\r"),
    "a column twice": b"Id,Id,SystemModstamp\n7,7,2026-06-01T06:00:00Z\n",
}


@pytest.mark.parametrize("body", CORRUPT.values(), ids=CORRUPT)
def test_an_object_that_can_not_be_read_goes_to_quarantine_whole_and_once(folder, body):
    land_object(folder.zone, "Account", DAY, accounts(1))
    folder.zone.put("raw/salesforce/Account/2026/06/01/broken", body)
    assert folder.load().receipt.says == "2 offered = 1 landed + 0 overlap + 1 quarantined"
    (rejected,) = folder.quarantined()
    assert rejected["_origin"].startswith("raw/salesforce/Account/2026/06/01/broken@")
    assert (rejected["_body"], folder.ids()) == (body, ids(1))
    assert folder.load().receipt.offered == 0
    assert len(folder.quarantined()) == 1


def test_a_half_written_object_lands_once_it_is_whole(landing):
    key = "raw/salesforce/Account/2026/06/01/slow"
    landing.zone.put(key, CORRUPT["half-written CSV"])
    assert landing.load().receipt.quarantined == 1
    landing.zone.put(key, WHOLE)
    assert landing.load().receipt.landed == 2
    assert landing.ids() == ids(7, 8)


def test_a_long_corrupt_object_stays_where_it_is_and_is_named(folder):
    folder.zone.put("raw/salesforce/Account/2026/06/01/long", b"PAR1" + bytes(2 << 20))
    folder.load()
    (rejected,) = folder.quarantined()
    assert rejected["_body"].decode() == str(folder.zone.folder / "raw/salesforce/Account/2026/06/01/long")


BAD_ROWS = {
    "csv": (b"Id,Name,SystemModstamp\n", b"%018d,Ltd,2026-06-01T06:00:00Z\n", b"too,short\n"),
    "csv with quotes": (
        b"Id,Name,SystemModstamp\n",
        b'%018d,"Ltd\n",2026-06-01T06:00:00Z\n',
        b'"to,o",short\n',
    ),
    "csv that is no text": (
        b"Id,Name,SystemModstamp\n",
        b"%018d,Ltd,2026-06-01T06:00:00Z\n",
        b"1,\xff\xfe,\n",
    ),
    "jsonl": (b"", b'{"Id": "%018d", "SystemModstamp": "2026-06-01T06:00:00Z"}\n', b'{"Id": \n'),
    "two records": (
        b"",
        b'{"Id": "%018d", "SystemModstamp": "2026-06-01T06:00:00Z"}\n',
        b'{"Id": "x"},{"Id": "y"}\n',
    ),
}


@pytest.mark.parametrize(("first", "good", "bad"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_among_good_ones_is_set_aside_and_the_others_land(folder, first, good, bad):
    lines = [good % number for number in range(30_000)]
    folder.zone.put("raw/salesforce/Account/2026/06/01/a", first + good % 40_000)
    folder.zone.put(
        "raw/salesforce/Account/2026/06/01/b", first + b"".join([*lines[:26_000], bad, *lines[26_000:]])
    )
    assert folder.load().receipt.says == "30,002 offered = 30,001 landed + 0 overlap + 1 quarantined"
    assert folder.ids() == ids(*range(30_000), 40_000)
    (rejected,) = folder.quarantined()
    assert (rejected["_body"].strip(), "/b@" in rejected["_origin"]) == (bad.strip(), True)
    assert rejected["_origin"].endswith((":record 26001", ":line 26002"))
    assert all("/b@" in row["_origin"] for row in folder.rows() if row["Id"] < ids(30_000)[0])


def test_values_that_fit_no_column_are_rescued_the_same_from_every_form(folder):
    odd = account(1) | {"AnnualRevenue": "much", "NumberOfEmployees": "7", "Surprise": "new"}
    for form in ("csv", "jsonl", "parquet"):
        land_object(folder.zone, "Account", DAY, [odd | {"Id": form}], form)
    loaded = folder.load()
    assert loaded.receipt.rescued == 3
    rescued = {row["Id"]: json.loads(row["_rescued"]) for row in folder.rows()}
    assert rescued["csv"] == rescued["parquet"] == {"AnnualRevenue": "much", "Surprise": "new"}
    # JSON has a way to write a number, and this is not it.
    assert rescued["jsonl"] == rescued["csv"] | {"NumberOfEmployees": "7"}
    assert ("Surprise", "new") in {(drift.column, drift.kind) for drift in loaded.drift}


def test_parquet_of_other_types_than_declared_lands_what_fits_and_rescues_the_rest(folder):
    moment = pa.scalar(1_780_300_800_123_456_789, pa.timestamp("ns"))
    held = pa.table(
        {
            "Id": ids(1, 2),
            "AnnualRevenue": [12.5, 1.005],
            "NumberOfEmployees": pa.array([7, None], pa.int16()),
            "Phone": [15550100, None],
            "BillingAddress": [{"city": "Austin"}, None],
            "SystemModstamp": pa.array([moment, moment]),
            "Seen": pa.array([moment, None]),
        }
    )
    body = io.BytesIO()
    pq.write_table(held, body)
    folder.zone.put("raw/salesforce/Account/2026/06/01/part", body.getvalue())
    loaded = folder.load()
    one, two = folder.rows(order='"Id"')
    at = datetime(2026, 6, 1, 8, 0, 0, 123456, UTC)
    assert (one["AnnualRevenue"], one["NumberOfEmployees"], one["SystemModstamp"]) == (Decimal("12.5"), 7, at)
    assert json.loads(one["BillingAddress"]) == {"city": "Austin"}
    assert json.loads(one["_rescued"]) == {"Phone": 15550100, "Seen": "2026-06-01 08:00:00.123456789"}
    assert (two["AnnualRevenue"], json.loads(two["_rescued"])) == (None, {"AnnualRevenue": 1.005})
    assert loaded.receipt.adds_up


def test_line_ends_and_marks_of_other_systems_are_no_content(folder):
    body = b"\xef\xbb\xbf" + FORMS["csv"](accounts(1, 2)).replace(b"\n", b"\r\n") + b"\r\n"
    folder.zone.put("raw/salesforce/Account/2026/06/01/part", body)
    assert folder.load().receipt.says == "2 offered = 2 landed + 0 overlap + 0 quarantined"
    assert {(row["Name"], row["SystemModstamp"]) for row in folder.rows()} == {("Ltd", BEGUN)}


def test_a_stray_line_end_costs_its_own_record_alone(folder):
    for number, quote in enumerate(("", '"')):
        body = (
            FORMS["csv"](accounts(number))
            + FORMS["csv"](accounts(7)).replace(b"Ltd", b"L\rtd").split(b"\n")[1]
        )
        folder.zone.put(
            f"raw/salesforce/Account/2026/06/01/{number}",
            body.replace(b"Ltd", f"{quote}Ltd{quote}".encode()) + b"\n",
        )
    assert folder.load().receipt.says == "6 offered = 2 landed + 0 overlap + 4 quarantined"
    assert folder.ids() == ids(0, 1)


def test_a_csv_tells_an_empty_text_from_none(folder):
    folder.zone.put("raw/salesforce/Account/2026/06/01/part", b'Id,Name,Phone\n1,"",\n')
    folder.load()
    (row,) = folder.rows()
    assert (row["Name"], row["Phone"]) == ("", None)


class Killed(BaseException):
    """The process ends here."""


def test_a_killed_load_goes_on_after_the_last_group_that_was_committed(landing, monkeypatch):
    monkeypatch.setattr(connector, "GROUP_OBJECTS", 2)
    for number in range(10):
        land_object(
            landing.zone, "Account", DAY + timedelta(days=number), accounts(2 * number, 2 * number + 1)
        )
    opened = []

    def dies_at_the_eighth(self, found):
        opened.append(found)
        if len(opened) > 7:
            raise Killed
        return open_object(self, found)

    open_object = connector._Load._opened
    monkeypatch.setattr(Folder, "readers", 1)
    monkeypatch.setattr(Bucket, "readers", 1)
    with monkeypatch.context() as dying, suppress(Killed):
        dying.setattr(connector._Load, "_opened", dies_at_the_eighth)
        landing.load(commit_rows=1)
    committed = landing.ids()
    assert 0 < len(committed) < 16
    assert landing.load(commit_rows=1).receipt.offered == 20 - len(committed)
    assert landing.ids() == ids(*range(20))


def test_a_late_file_in_an_older_folder_is_found_within_the_look_back(landing):
    land_object(landing.zone, "Account", DAY, accounts(1))
    landing.load()
    land_object(landing.zone, "Account", DAY - timedelta(days=3), accounts(2))
    land_object(landing.zone, "Account", DAY - timedelta(days=4), accounts(3))
    landing.load()
    assert landing.ids() == ids(1, 2)


def test_a_file_dated_far_ahead_hides_no_other(landing):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    land_object(landing.zone, "Account", date(2099, 1, 1), accounts(1))
    landing.load()
    land_object(landing.zone, "Account", tomorrow, accounts(2))
    landing.load()
    land_object(landing.zone, "Account", tomorrow + timedelta(days=1), accounts(3))
    landing.load()
    assert landing.ids() == ids(1, 2, 3)


def test_a_new_flow_beside_the_old_is_read_from_its_beginning(landing):
    land_object(landing.zone, "Account", DAY, accounts(1))
    landing.load()
    landing.zone.put("raw/salesforce/Account/new-flow/2020/01/01/part", FORMS["csv"](accounts(2)))
    landing.zone.put("raw/salesforce/Account/no-date", FORMS["csv"](accounts(3)))
    landing.load()
    assert landing.ids() == ids(1, 2, 3)
    assert landing.load().receipt.offered == 0


def test_other_objects_and_what_writers_leave_behind_are_not_read(landing):
    land_object(landing.zone, "AccountHistory", DAY, accounts(1))
    landing.zone.put("raw/salesforce/Account/2026/06/01/_SUCCESS", b"")
    landing.zone.put("raw/salesforce/Account/2026/06/01/.part-0.crc", b"crc")
    landing.zone.put("raw/salesforce/Account/_temporary/0/2026/06/01/part-0", b"half")
    assert landing.load().receipt.offered == 0


def test_listing_a_bucket_costs_what_is_new_and_not_what_ever_landed(bucket, monkeypatch):
    """In pages of 100, 250 files are three; once they have landed, a page and a leap see the new one."""
    body = FORMS["csv"](accounts(1))
    for number in range(250):
        bucket.zone.put(
            f"raw/salesforce/Account/{DAY + timedelta(days=number // 10):%Y/%m/%d}/{number:05d}", body
        )
    pages = []
    make = Bucket.__init__

    def counted(self, settings):
        make(self, settings)
        ask = self._client.list_objects_v2
        self._client.list_objects_v2 = lambda **asked: pages.append(asked) or ask(**asked, MaxKeys=100)

    monkeypatch.setattr(Bucket, "__init__", counted)
    first = bucket.load()
    assert (first.receipt.offered, len(pages)) == (250, 3)
    pages.clear()
    land_object(bucket.zone, "Account", DAY + timedelta(days=24), accounts(2))
    assert bucket.load().receipt.landed == 1
    assert len(pages) == 2


def test_neither_the_position_nor_a_listing_grows_with_what_ever_landed(folder, monkeypatch):
    body = FORMS["csv"](accounts(1))
    for number in range(2_000):
        folder.zone.put(
            f"raw/salesforce/Account/{BEFORE + timedelta(days=number // 10):%Y/%m/%d}/{number:05d}", body
        )
    first = folder.load()
    assert first.receipt.offered == 2_000
    (days,) = first.position["layouts"].values()
    assert [len(marks) for marks in days.values()] == [10, 10, 10, 10]
    land_object(folder.zone, "Account", BEFORE + timedelta(days=199), accounts(2))
    seen = []
    listed = Folder.listed
    monkeypatch.setattr(
        Folder, "listed", lambda *asked: (seen.append(each) or each for each in listed(*asked))
    )
    assert folder.load().receipt.landed == 1
    # The days of the look-back, the new file, and the one that is leaped from.
    assert len(seen) == 42


def test_rates_land_a_row_for_each_currency_and_day(landing):
    days = [date(2026, 6, 4), date(2026, 6, 5)]
    for day in days:
        land_rates(landing.zone, day, rates_on(day))
    loaded = landing.load(EXCHANGE_RATES)
    landed = {
        (row["date"], row["currency"]): (row["base"], row["rate"]) for row in landing.rows(EXCHANGE_RATES)
    }
    assert landed == {
        (day, currency): ("USD", Decimal(str(rate)))
        for day in days
        for currency, rate in rates_on(day).items()
    }
    assert loaded.receipt.says == "14 offered = 14 landed + 0 overlap + 0 quarantined"
    assert loaded.receipt.rescued == 0


def test_rates_that_were_published_again_unchanged_land_no_row(landing):
    friday = date(2026, 6, 5)
    land_rates(landing.zone, friday, rates_on(friday))
    landing.load(EXCHANGE_RATES)
    document = {"amount": 1.0, "base": "USD", "date": "2026-06-05", "rates": rates_on(friday) | {"EUR": 0.5}}
    landing.zone.put(
        "raw/api-data/exchange_rates/2026/06/06/USD.json", json.dumps(document, indent=2).encode()
    )
    assert landing.load(EXCHANGE_RATES).receipt.says == "7 offered = 1 landed + 6 overlap + 0 quarantined"


def test_a_response_without_rates_goes_to_quarantine(folder):
    folder.zone.put(
        "raw/api-data/exchange_rates/2026/06/06/USD.json", b'{"base": "USD", "date": "2026-06-05"}'
    )
    folder.load(EXCHANGE_RATES)
    assert [each["_reason"] for each in folder.quarantined(EXCHANGE_RATES)] == ["it holds no map 'rates'"]


def test_fields_that_a_flow_renames_land_under_their_declared_names(folder):
    renamed = replace(
        ACCOUNTS,
        files=Snapshot(ACCOUNTS.files.prefix, renames=(("account_id", "Id"), ("phone_masked", "Phone"))),
    )
    for form in ("csv", "jsonl", "parquet"):
        row = {"account_id": form, "phone_masked": "*****12", "SystemModstamp": BEGUN}
        land_object(folder.zone, "Account", DAY, [row], form)
    loaded = folder.load(renamed)
    assert loaded.receipt.rescued == 0
    assert {(row["Id"], row["Phone"]) for row in folder.rows()} == {
        (form, "*****12") for form in ("csv", "jsonl", "parquet")
    }


def test_a_folder_that_is_not_there_is_told_with_its_setting(tmp_path, lake):
    settings = Settings(_env_file=None, landing_uri=str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match=r"nowhere, which is no folder; make it, or set LANDING_URI"):
        load(ACCOUNTS, LandingFiles(settings), lake, 1_000)


def test_a_bucket_that_is_not_there_is_told_with_its_setting(aws, lake):
    given = {name.lower(): value for name, value in aws.settings().items()}
    settings = Settings(_env_file=None, landing_uri="s3://no-such-bucket/zone", **given)
    with pytest.raises(SourceError, match=r"s3://no-such-bucket/zone/raw.*LANDING_URI.*NoSuchBucket") as told:
        load(ACCOUNTS, LandingFiles(settings), lake, 1_000)
    assert aws.secret not in str(told.value)


class Refusing(AnsweringServer):
    def answer(self, method, path, body):
        return 403, {"Content-Type": "application/xml"}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"


def test_credentials_that_s3_refuses_are_told_without_the_secret(lake):
    with Refusing() as server:
        known = {"aws_access_key_id": "somebody", "aws_secret_access_key": "a-secret-of-s3"}
        settings = Settings(
            _env_file=None, landing_uri="s3://bucket/zone", aws_endpoint_url=server.url, **known
        )
        with pytest.raises(CredentialsRefused, match=r"SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY") as told:
            load(ACCOUNTS, LandingFiles(settings), lake, 1_000)
    assert "a-secret-of-s3" not in str(told.value)


def test_an_address_where_nobody_answers_is_told_with_its_setting(lake):
    settings = Settings(
        _env_file=None,
        landing_uri="s3://bucket/zone",
        aws_endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
        http_retries=0,
    )
    with pytest.raises(SourceError, match=r"EndpointConnectionError.*AWS_ENDPOINT_URL"):
        load(ACCOUNTS, AppFlow(settings), lake, 1_000)
