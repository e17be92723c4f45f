"""Two days of the app's campaigns, from DynamoDB to silver: each table is what DynamoDB holds, and so is the progress
made of both."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from data_platform.bronze.load import load
from data_platform.checks.scores import breaking
from data_platform.connectors.dynamodb.connector import DynamoDB
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.joined_step import join
from data_platform.silver.step import Refined, refine
from data_platform.silver.user_campaign_progress import KEY, USER_CAMPAIGN_PROGRESS
from data_platform.sources.dynamodb import CAMPAIGN_INFO, TABLES, USER_CAMPAIGN
from sandbox.dynamodb.server import DynamoDBServer
from sandbox.dynamodb.tables import CampaignTables
from sandbox.world.campaigns import Campaigns
from sandbox.world.company import Sizes, World
from tests.faults.dynamodb_sources import as_landed

DAYS = (0, 1)
NAMES = {USER_CAMPAIGN.name: "user_Campaign", CAMPAIGN_INFO.name: "campaignInfo"}
Row = dict[str, Any]


@dataclass
class Day:
    """What DynamoDB held at the end of a day, and what silver did."""

    truth: dict[str, dict[tuple[str, str], Row]] = field(default_factory=dict)
    silver: dict[str, list[Row]] = field(default_factory=dict)
    quarantine: dict[str, list[Row]] = field(default_factory=dict)
    joined: Refined | None = None


def held(lake: Lake, *path: str) -> list[Row]:
    table = lake.at(*path)
    return table.query("select * from held").to_pylist() if table.exists else []


@dataclass
class Followed:
    campaigns: Campaigns
    lake: Lake
    days: list[Day]


@pytest.fixture(scope="module")
def followed(tmp_path_factory, spark) -> Iterator[Followed]:
    lake = Lake(str(tmp_path_factory.mktemp("campaigns") / "lake"))
    campaigns = Campaigns(World(sizes=Sizes(accounts=30, contacts=400, leads=20, opportunities=20)))
    days = []
    with DynamoDBServer() as server:
        tables = CampaignTables(server, campaigns)
        tables.fill()
        given = {name.lower(): value for name, value in server.settings().items()}
        settings = Settings(_env_file=None, **given)
        for number in DAYS:
            if number:
                tables.live_a_day()
            day = Day()
            for table in TABLES:
                load(table, DynamoDB(settings), lake, 500)
                refine(lambda: spark, table, lake)
                day.truth[table.name] = dict(campaigns.rows[NAMES[table.name]])
                day.silver[table.name] = held(lake, "silver", table.silver_name)
                day.quarantine[table.name] = held(lake, "quarantine", "silver", table.silver_name)
            day.joined = join(lambda: spark, USER_CAMPAIGN_PROGRESS, lake)
            day.silver["progress"] = held(lake, "silver", USER_CAMPAIGN_PROGRESS.name)
            days.append(day)
    yield Followed(campaigns, lake, days)


def reasons(table: SourceTable, item: Row) -> list[str]:
    if table is CAMPAIGN_INFO:
        return ["reward_at_least"] if item["reward"] < 0 else []
    above = any(not 0 <= task["progress"] <= 100 for task in item["progressDetails"])
    return ["progress_details_progress_between"] if above else []


def too_fine(item: Row) -> Row:
    """Of a number with more digits than its column, the nearest is in silver, beside the whole of it in bronze."""
    points = item.get("points")
    is_too_fine = isinstance(points, Decimal) and points.as_tuple().exponent < -10
    return {"points": round(points, 10)} if is_too_fine else {}


each_day = pytest.mark.parametrize("day", DAYS)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@each_day
@each_table
def test_silver_holds_what_dynamodb_does_and_quarantine_what_breaks_a_rule(followed, table, day):
    seen = followed.days[day]
    truth = seen.truth[table.name]
    live = {
        tuple(row[name] for name in table.silver_key): row
        for row in seen.silver[table.name]
        if not row["is_deleted"]
    }
    good = {key: item for key, item in truth.items() if not reasons(table, item)}
    assert live.keys() == good.keys()
    shaped = [column for column in table.columns if column.type.kind not in ("json", "binary")]
    for key, item in good.items():
        landed = as_landed(table, item) | too_fine(item)
        assert {c.silver_name: live[key][c.silver_name] for c in shaped} == {
            c.silver_name: landed[c.name] for c in shaped
        }
    waiting = {
        tuple(row[name] for name in table.silver_key): row["_reasons"] for row in seen.quarantine[table.name]
    }
    assert waiting == {key: reasons(table, item) for key, item in truth.items() if reasons(table, item)}


@pytest.mark.parametrize(
    ("fault", "warning"),
    [("task_twice", "progress_details_tasks_once"), ("unknown_status", "status_one_of")],
)
def test_what_is_odd_is_let_in_and_marked(followed, fault, warning):
    marked = {
        (row["user_id"], row["campaign_id"])
        for row in followed.days[0].silver[USER_CAMPAIGN.name]
        if warning in row["_warnings"]
    }
    assert marked == set(followed.campaigns.planted["user_Campaign"][fault])


def moment(text: str | None) -> datetime | None:
    return text and datetime.fromisoformat(text)


def expected_progress(day: Day) -> dict[tuple[str, str, str], Row]:
    """The join, said a second time."""
    tasks = {
        key: item for key, item in day.truth["campaign_info"].items() if not reasons(CAMPAIGN_INFO, item)
    }
    rows = {}
    for (user, campaign), item in day.truth["user_campaign"].items():
        for task in item["progressDetails"] if not reasons(USER_CAMPAIGN, item) else ():
            told = tasks.get((campaign, task["taskID"]), {})
            rows[user, campaign, task["taskID"]] = {
                "created_at": moment(item["createdAt"]),
                "created_on": moment(item["createdAt"]).date(),
                "status": item["status"],
                "progress": task["progress"],
                "attempts": task.get("attempts"),
                "completed_at": moment(task.get("completedAt")),
                "campaign_name": told.get("campaignName"),
                "task_name": told.get("taskName"),
                "task_deadline": moment(told.get("taskDeadline")),
                "has_campaign": bool(told),
            }
    return rows


def progress(day: Day) -> dict[tuple[str, str, str], Row]:
    rows = day.silver["progress"]
    return {tuple(row[name] for name in KEY): row for row in rows if not row["is_deleted"]}


@each_day
def test_each_task_has_its_deadline_and_tasks_that_left_their_list_are_gone(followed, day):
    seen = followed.days[day]
    found, expected = progress(seen), expected_progress(seen)
    assert found.keys() == expected.keys()
    assert {key: {name: found[key][name] for name in row} for key, row in expected.items()} == expected


def test_only_what_either_side_changed_is_made_anew(followed):
    before, after = (expected_progress(day) for day in followed.days)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    anew = {
        tuple(row[name] for name in KEY) for row in followed.days[1].silver["progress"] if row["_batch"] == 2
    }
    by_users = {
        key for key, item in followed.days[1].truth["user_campaign"].items()
        if followed.days[0].truth["user_campaign"].get(key) != item
    }  # fmt: skip
    assert changed <= anew
    assert all(key in changed or key[:2] in by_users for key in anew)
    assert followed.days[1].joined.keys < len(after) / 2


def test_the_table_is_in_a_folder_for_each_day_of_creation(followed):
    table = followed.lake.silver(USER_CAMPAIGN_PROGRESS.name)
    assert table.delta.metadata().partition_columns == ["created_on"]
    days = {row["created_on"] for row in followed.days[1].silver["progress"]}
    assert {part["created_on"] for part in table.delta.partitions()} >= {day.isoformat() for day in days}


def test_tasks_without_a_campaign_are_counted_and_kept(followed):
    (rule,) = USER_CAMPAIGN_PROGRESS.rules
    now = [row for row in progress(followed.days[1]).values() if not row["has_campaign"]]
    table = followed.lake.silver(USER_CAMPAIGN_PROGRESS.name)
    assert len(now) > 0
    assert breaking(table, rule) == len(now)
    assert all(row["task_deadline"] is None for row in now)
