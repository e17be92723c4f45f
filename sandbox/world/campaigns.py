"""Campaigns in the company's app, and how far its contacts are in their tasks, with faults in known numbers.

Users have the Id of their contact in the CRM, campaigns that of the CRM's campaign. Items are as DynamoDB holds them
(numbers as Decimal, sets, bytes, None for its NULL; what is missing is missing). Pure functions of a World.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from sandbox.world.company import World

Item = dict[str, Any]
Key = tuple[str, str]
Table = Literal["user_Campaign", "campaignInfo"]

KEYS: dict[Table, Key] = {"user_Campaign": ("userID", "campaignID"), "campaignInfo": ("campaignID", "taskID")}
CAMPAIGNS, TASKS = 12, 6
CHANNELS = ("email", "push", "web", "sms")
BADGES = ("early bird", "so-called “pro”", "größter", "z")
MOST_DIGITS = Decimal("1234567890123456789012345678.0123456789")
# How many items in a thousand carry a fault; never less than one.
PER_THOUSAND: dict[Table, dict[str, int]] = {
    "user_Campaign": {
        "progress_above_hundred": 4,
        "task_without_campaign": 6,
        "task_twice": 4,
        "unknown_status": 4,
        "points_of_text": 3,
        "points_too_long": 3,
        "undeclared_attribute": 4,
        "task_with_more": 3,
    },
    "campaignInfo": {"deadline_before_creation": 30, "negative_reward": 20},
}
CHANGED, ADDED, DELETED = 40, 20, 5  # in a thousand, each day


@dataclass(frozen=True)
class Happened:
    """One change: the item afterwards (None: it is deleted)."""

    table: Table
    key: Key
    item: Item | None


@dataclass
class Campaigns:
    """The items by their key, as they are now, and the keys of those with each fault."""

    world: World
    rows: dict[Table, dict[Key, Item]] = field(
        default_factory=lambda: {"user_Campaign": {}, "campaignInfo": {}}
    )
    planted: dict[Table, dict[str, list[Key]]] = field(
        default_factory=lambda: {"user_Campaign": {}, "campaignInfo": {}}
    )
    day: int = 0

    def __post_init__(self) -> None:
        self.begun = self.world.now
        self.campaigns = [row["Id"] for row in self.world.truth("campaigns")][:CAMPAIGNS]
        for number in range(len(self.campaigns)):
            for task in range(TASKS):
                self._put("campaignInfo", self._task(number, task))
        users = [row["Id"] for row in self.world.truth("contacts") if not row["IsDeleted"]]
        self.waiting = users[len(users) * 4 // 5 :]
        for place, user in enumerate(users[: len(users) * 4 // 5]):
            self._put("user_Campaign", self._begin(user, place, self.begun - timedelta(days=place % 90)))
        self._plant()

    @property
    def now(self) -> datetime:
        return self.begun + timedelta(days=self.day)

    def live_a_day(self) -> Iterator[Happened]:
        """Users go on, begin and leave; tasks get other deadlines, leave lists, come and go."""
        self.day += 1
        random = self.world.random(400, self.day)
        users = self._some(random, "user_Campaign")
        spared = {key for keys in self.planted["user_Campaign"].values() for key in keys}
        going = [key for key in users if key not in spared]
        count = len(users)
        for key in going[: _share(count, CHANGED)]:
            yield self._happens("user_Campaign", key, self._gone_on(self.rows["user_Campaign"][key], random))
        for key in going[-_share(count, DELETED) :]:
            yield self._happens("user_Campaign", key, None)
        new, self.waiting = self.waiting[: _share(count, ADDED)], self.waiting[_share(count, ADDED) :]
        for place, user in enumerate(new):
            item = self._begin(user, place + self.day, self.now)
            yield self._happens("user_Campaign", _key("user_Campaign", item), item)
        tasks = self._some(random, "campaignInfo")
        for key in tasks[:3]:
            later = self.rows["campaignInfo"][key] | {"taskDeadline": _written(self.now + timedelta(days=30))}
            yield self._happens("campaignInfo", key, later)
        yield self._happens("campaignInfo", tasks[-1], None)
        added = self._task(self.day % len(self.campaigns), TASKS + self.day)
        yield self._happens("campaignInfo", _key("campaignInfo", added), added)

    def _happens(self, table: Table, key: Key, item: Item | None) -> Happened:
        if item is None:
            del self.rows[table][key]
        else:
            self.rows[table][key] = item
        return Happened(table, key, item)

    def _put(self, table: Table, item: Item) -> None:
        self.rows[table][_key(table, item)] = item

    def _some(self, random: np.random.Generator, table: Table) -> list[Key]:
        known = sorted(self.rows[table])
        return [known[place] for place in random.permutation(len(known))]

    def _task(self, campaign: int, task: int) -> Item:
        made = self.begun - timedelta(days=100 - campaign)
        return {
            "campaignID": self.campaigns[campaign],
            "taskID": f"T{task:02}",
            "campaignName": f"Campaign {campaign}",
            "taskName": f"Task {task}, “{CHANNELS[task % 4]}”",
            "createdAt": _written(made),
            "taskDeadline": _written(made + timedelta(days=60 + task)),
            "reward": Decimal(task * 5).scaleb(-1),
            "isActive": task % 5 != 0,
            "channels": set(CHANNELS[: 1 + task % 4]),
        }

    def _begin(self, user: str, place: int, at: datetime) -> Item:
        item: Item = {
            "userID": user,
            "campaignID": self.campaigns[place % len(self.campaigns)],
            "createdAt": _written(at),
            "updatedAt": _written(at),
            "status": "active",
            "progressDetails": [
                {"taskID": f"T{task:02}", "progress": Decimal(0), "attempts": Decimal(task)}
                for task in range(place % (TASKS + 1))
            ],
            "points": MOST_DIGITS if place % 50 == 0 else Decimal(place) / 4,
            "preferences": {"locale": "de", "quiet": [Decimal(22), Decimal("6.5")], "theme": None},
        }
        if place % 3 == 0:
            item["badges"] = set(BADGES[: 1 + place % 4])
        if place % 4 == 0:
            item["consent"] = bytes([0, 255, place % 256])
        if place % 5 == 0:
            item["preferences"] = None
        if place % 7 == 0:
            item["expiresAt"] = Decimal(int((at + timedelta(days=365)).timestamp()))
        return item

    def _gone_on(self, item: Item, random: np.random.Generator) -> Item:
        """Some tasks further; the first leaves the list of every third."""
        tasks = item["progressDetails"][1 if random.random() < 0.3 else 0 :]
        further = [self._further(task, Decimal(int(random.integers(0, 60)))) for task in tasks]
        is_done = bool(further) and all(task["progress"] == 100 for task in further)
        return item | {
            "progressDetails": further,
            "updatedAt": _written(self.now),
            "status": "completed" if is_done else "active",
            "points": item["points"] + Decimal("0.5"),
        }

    def _further(self, task: Item, by: Decimal) -> Item:
        progress = min(task["progress"] + by, Decimal(100))
        done = {"completedAt": _written(self.now)} if progress == 100 else {}
        return task | {"progress": progress} | done

    def _plant(self) -> None:
        """No item carries two faults: each is dealt from one shuffled pack."""
        for table, faults in PER_THOUSAND.items():
            pack = self._some(self.world.random(401, len(table)), table)
            if table == "user_Campaign":
                pack = [key for key in pack if len(self.rows[table][key]["progressDetails"]) > 1]
            for fault, share in faults.items():
                count = max(1, len(self.rows[table]) * share // 1_000)
                self.planted[table][fault], pack = pack[:count], pack[count:]
                for key in self.planted[table][fault]:
                    self.rows[table][key] = _faulty(fault, self.rows[table][key])


def _faulty(fault: str, item: Item) -> Item:
    tasks = item.get("progressDetails", [])
    match fault:
        case "progress_above_hundred":
            return item | {"progressDetails": [*tasks[:-1], tasks[-1] | {"progress": Decimal("100.5")}]}
        case "task_without_campaign":
            return item | {"progressDetails": [*tasks, {"taskID": "T99", "progress": Decimal(1)}]}
        case "task_twice":
            return item | {"progressDetails": [*tasks, tasks[0] | {"progress": Decimal("7.25")}]}
        case "unknown_status":
            return item | {"status": "paused"}
        case "points_of_text":
            return item | {"points": "many"}
        case "points_too_long":
            return item | {"points": Decimal("1.01234567890123456789")}
        case "undeclared_attribute":
            return item | {"referrer": {"code": "x", "days": {Decimal(1), Decimal("2.5")}}, "nickname": None}
        case "task_with_more":
            return item | {"progressDetails": [tasks[0] | {"hint": "look left"}, *tasks[1:]]}
        case "negative_reward":
            return item | {"reward": Decimal("-1.50")}
        case _:
            return item | {"taskDeadline": item["createdAt"], "createdAt": item["taskDeadline"]}


def _share(count: int, per_thousand: int) -> int:
    return max(1, count * per_thousand // 1_000)


def _key(table: Table, item: Item) -> Key:
    first, second = KEYS[table]
    return item[first], item[second]


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
