"""What lands from CleverTap is what its people are and did, however long it computes and whatever shape it takes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.connectors.clevertap.connector import CleverTap
from data_platform.declarations import JSON, Column, Personal
from data_platform.settings import Settings
from data_platform.sources.clevertap import CLEVERTAP_EVENTS, CLEVERTAP_PROFILES
from sandbox.clevertap.server import CleverTapServer
from sandbox.vendor import Instead
from sandbox.world.engagement import EVENTS, EngagementWorld

HISTORY = 20
LAST = date(2026, 5, 31)
FIRST = LAST - timedelta(days=HISTORY - 1)


class App:
    """A CleverTap, and bronze tables that load from it."""

    def __init__(self, server: CleverTapServer, lake) -> None:
        self.server = server
        self.world = server.world
        self.lake = lake

    def load(self, table=CLEVERTAP_EVENTS, days=None, commit_rows=50_000, **settings):
        given = {name.lower(): value for name, value in self.server.settings().items()}
        given |= {"window_history": timedelta(days=HISTORY)} | settings
        connector = CleverTap(Settings(_env_file=None, **given))
        return load(table, connector, self.lake, commit_rows, days)

    def live(self, table=CLEVERTAP_EVENTS) -> list[dict]:
        """Each key's newest row by its declared columns, JSON as what it means."""
        key = ", ".join(f'"{name}"' for name in table.key)
        held = self.lake.bronze(table).query(
            f"select * from (select *, row_number() over (partition by {key} order by _batch desc) as place "
            "from held) where place = 1 and _op = 'upsert'"
        )
        rows = held.select([column.name for column in table.columns]).to_pylist()
        of_json = [column.name for column in table.columns if column.type is JSON]
        for row in rows:
            row.update({name: json.loads(row[name]) for name in of_json if row[name] is not None})
        return sorted(rows, key=lambda row: [str(row[name]) for name in table.key])

    def true_events(self, first=FIRST, last=LAST) -> list[dict]:
        rows = [true_event(name, each) for name in EVENTS for each in self.world.events(name, first, last)]
        return sorted(rows, key=lambda row: [str(row[name]) for name in CLEVERTAP_EVENTS.key])

    def true_people(self, first=FIRST, last=LAST) -> list[dict]:
        people = self.world.profiles("App Launched", first, last)
        return sorted(people, key=lambda person: person["identity"])


def true_event(name: str, record: dict) -> dict:
    moment = datetime.strptime(f"{record['ts']}+0000", "%Y%m%d%H%M%S%z")
    return {
        "profile.identity": record["profile"]["identity"],
        "event": name,
        "occurred_at": moment,
        "day": moment.date(),
        **record,
    }


@pytest.fixture
def app(lake, monkeypatch) -> Iterator[App]:
    monkeypatch.setattr("data_platform.connectors.http.FIRST_WAIT", 0.01)
    monkeypatch.setattr("data_platform.connectors.patience.FIRST_LOOK", 0.01)
    monkeypatch.setattr("data_platform.connectors.clevertap.api.PAGE_ROWS", 50)
    with CleverTapServer(EngagementWorld(people=60)) as server:
        yield App(server, lake)


def test_a_first_load_lands_every_event_and_its_receipt_adds_up(app):
    loaded = app.load()
    assert app.live() == app.true_events()
    assert loaded.receipt.offered == loaded.receipt.landed == len(app.true_events())
    assert loaded.position["days"] == {app.server.account: "2026-05-31"}
    assert loaded.drift == []


@pytest.mark.parametrize(
    "told",
    [
        lambda page: dict(reversed(page.items())),
        lambda page: {"notes": ["[", {"next_cursor": "of nobody"}], **page, "more": ["]"]},
        lambda page: {**page, "notes": []},
        lambda page: {"notes": [], **page},
    ],
    ids=["before its records", "between other lists", "before another list", "after another list"],
)
def test_the_next_page_is_found_wherever_a_page_names_it(app, told):
    answer = app.server.server.answer

    def told_otherwise(request):
        given = answer(request)
        page = json.loads(given.body)
        return replace(given, body=json.dumps(told(page)).encode()) if "records" in page else given

    app.server.server.answer = told_otherwise
    loaded = app.load()
    assert loaded.receipt.landed == len(app.true_events())
    assert app.live() == app.true_events()


def test_a_first_load_lands_every_person_once(app):
    loaded = app.load(CLEVERTAP_PROFILES)
    landed = app.live(CLEVERTAP_PROFILES)
    assert {row.pop("day") for row in landed} == {LAST}
    assert landed == app.true_people()
    assert loaded.receipt.landed == len(landed)


@pytest.mark.parametrize("table", [CLEVERTAP_EVENTS, CLEVERTAP_PROFILES], ids=lambda table: table.name)
def test_a_quiet_account_lands_no_row_and_leaves_no_commit(app, table):
    app.load(table)
    version = app.lake.bronze(table).version
    assert app.load(table).receipt.landed == 0
    assert app.lake.bronze(table).version == version


def test_a_day_later_lands_that_days_events_and_the_people_who_changed(app):
    app.load()
    app.load(CLEVERTAP_PROFILES)
    app.world.advance()
    today = LAST + timedelta(days=1)
    assert app.load().receipt.landed == len(app.true_events(today, today))
    assert app.live() == app.true_events(last=today)
    app.load(CLEVERTAP_PROFILES)
    landed = {row["identity"]: row for row in app.live(CLEVERTAP_PROFILES)}
    for person in app.true_people(LAST - timedelta(days=1), today):
        assert {name: landed[person["identity"]][name] for name in person} == person


def test_an_event_that_is_gone_becomes_a_tombstone(app, monkeypatch):
    app.load()
    kept = app.world.events
    monkeypatch.setattr(app.world, "events", lambda *asked: kept(*asked)[1:])
    gone = app.load().receipt.landed
    assert gone == 3
    deleted = app.lake.bronze(CLEVERTAP_EVENTS).query("select event, ts from held where _op = 'delete'")
    assert sorted(deleted.column("event").to_pylist()) == sorted(EVENTS)
    assert app.load().receipt.landed == 0


def test_a_killed_load_goes_on_and_lands_nothing_twice(app):
    app.server.refuse(404, "GET /1/events.json", after=14)
    with pytest.raises(SourceError):
        app.load(commit_rows=1)
    reached = app.lake.bronze(CLEVERTAP_EVENTS).position["days"]
    assert FIRST < date.fromisoformat(reached[app.server.account]) < LAST
    app.load()
    assert app.live() == app.true_events()
    assert app.lake.bronze(CLEVERTAP_EVENTS).rows == len(app.true_events())


def test_days_that_are_asked_for_are_read_again(app):
    app.load()
    first = LAST - timedelta(days=40)
    app.load(days=(first, LAST))
    assert app.live() == app.true_events(first)


def test_throttling_and_a_broken_connection_are_waited_out(app):
    app.server.refuse(429, times=3, after=2)
    for way in ("cut", "truncate", "garble"):
        app.server.server.tell(Instead("GET /1/events.json", way=way))
    app.load()
    assert app.live() == app.true_events()


def test_a_cursor_that_ran_out_has_the_days_read_again(app):
    app.server.refuse(400, "GET /1/events.json", after=4)
    app.load()
    assert app.live() == app.true_events()


def test_a_count_that_never_ends_ends_the_load_with_the_patience(app):
    app.server.computing = 10_000
    with pytest.raises(QuotaReached, match=r"CleverTap: counts/events.json is still being computed"):
        app.load(window_patience=timedelta(seconds=0.05))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"clevertap_passcode": "old-passcode"}, "CLEVERTAP_PASSCODE, and that CLEVERTAP_BASE_URL is"),
        ({"clevertap_account_id": "OTHER"}, "CLEVERTAP_ACCOUNT_ID"),
        ({"clevertap_base_url": None}, "set CLEVERTAP_BASE_URL"),
        ({"clevertap_time_zone": "Europe/Nowhere"}, "CLEVERTAP_TIME_ZONE is in time zone 'Europe/Nowhere'"),
    ],
)
def test_a_wrong_setting_is_named(app, setting, says):
    with pytest.raises(SourceError, match=says) as raised:
        app.load(**setting)
    assert "old-passcode" not in str(raised.value)
    assert app.server.passcode not in str(raised.value)


def test_wrong_credentials_are_not_asked_with_again(app):
    with pytest.raises(CredentialsRefused):
        app.load(clevertap_passcode="old-passcode")
    assert len(app.server.server.asked) == 2


def test_an_event_that_the_account_does_not_know_is_a_plain_error(app):
    table = replace(CLEVERTAP_EVENTS, reads="events.json?event_name=Renamed")
    with pytest.raises(SourceError, match=r"Check that the event names under `reads`"):
        app.load(table)


def test_events_are_placed_by_the_accounts_own_clock(app):
    app.load(clevertap_time_zone="Asia/Kolkata")
    ((ts, moment),) = {(row["ts"], row["occurred_at"]) for row in app.live() if row["ts"] == 20260531000000}
    assert (ts, moment) == (20260531000000, datetime(2026, 5, 30, 18, 30, tzinfo=UTC))


def changed(record: dict) -> dict:
    """A later API: the properties under another name, an id that was not there, the session gone."""
    if "event_props" not in record:
        return record
    props = {"eventProperties": record["event_props"], "event_id": f"e{record['ts']}"}
    return {name: record[name] for name in ("profile", "ts")} | props


WIDENED = replace(
    CLEVERTAP_EVENTS,
    columns=(
        *CLEVERTAP_EVENTS.columns,
        Column("eventProperties", JSON, personal=Personal.FREE_TEXT),
    ),
    ignores=("event_id",),
)


def test_a_changed_shape_is_noticed_kept_and_after_the_declaration_follows_read_again(app):
    app.load()
    before = app.true_events()
    app.server.shape = changed
    app.world.advance()
    today = LAST + timedelta(days=1)

    # 1. The drift check tells of it, and what is new waits in _rescued: nothing is lost.
    loaded = app.load()
    assert {(drift.column, drift.kind) for drift in loaded.drift} == {
        ("eventProperties", "new"),
        ("event_id", "new"),
        ("event_props", "lost"),
        ("session_props", "lost"),
    }
    held = app.lake.bronze(CLEVERTAP_EVENTS)
    rescued = held.query(
        'select event, ts, "profile.identity", _rescued from held where _rescued is not null'
    )
    kept = {
        (row["event"], row["ts"], row["profile.identity"]): json.loads(row["_rescued"])["eventProperties"]
        for row in rescued.to_pylist()
    }
    again = app.true_events(LAST - timedelta(days=2), today)
    assert kept == {(row["event"], row["ts"], row["profile.identity"]): row["event_props"] for row in again}

    # 2. The widened declaration takes it from here on, 3. and a new first load brings the days before.
    assert app.load(WIDENED).drift == []
    app.lake.bronze(WIDENED).set_position({})
    app.load(WIDENED)
    landed = {(row["event"], row["ts"], row["profile.identity"]): row for row in app.live(WIDENED)}
    for row in app.true_events(today - timedelta(days=HISTORY - 1), today):
        found = landed.pop((row["event"], row["ts"], row["profile.identity"]))
        assert found["eventProperties"] == row["event_props"]
    # Of days that the new load did not reach, the old shape stays as it landed.
    assert all(row["event_props"] is not None and row["day"] == FIRST for row in landed.values())
    assert len(landed) == len([row for row in before if row["day"] == FIRST])


def test_a_changed_type_is_noticed_and_the_value_kept(app):
    app.server.shape = lambda record: record | ({"ts": str(record["ts"])} if "ts" in record else {})
    loaded = app.load()
    assert ("ts", "type") in {(drift.column, drift.kind) for drift in loaded.drift}
    rescued = (
        app.lake.bronze(CLEVERTAP_EVENTS).query("select _rescued from held").column("_rescued").to_pylist()
    )
    truth = sorted(str(row["ts"]) for row in app.true_events())
    assert sorted(json.loads(each)["ts"] for each in rescued) == truth
