"""The org: its objects, its sessions and quota, and the queries that are being read."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock

from sandbox.salesforce import errors, soql
from sandbox.salesforce.encode import Writer
from sandbox.salesforce.exchange import Answer, Request
from sandbox.salesforce.fields import SObject, objects
from sandbox.salesforce.jobs import Job
from sandbox.salesforce.oauth import Login
from sandbox.salesforce.query import Plan, Search, planned
from sandbox.world.company import World
from sandbox.world.records import Rows

# A user may have so many queries open; the one longest untouched is closed for the next.
OPEN_CURSORS = 10


@dataclass(frozen=True)
class Cursor:
    """Which records answer a query, fixed when it was asked; a page shows them as they are when read."""

    name: str
    plan: Plan
    rows: Rows
    page_size: int


class Org:
    """What the endpoints share. `lock` guards what they change here; the world has a lock of its own."""

    def __init__(self, world: World, login: Login, daily_limit: int) -> None:
        self.world = world
        self.login = login
        self.lock = RLock()
        self.objects = objects()
        self.daily_limit = daily_limit
        self.used = 0
        self.largest_page = 2_000
        # The session ends after so many pages more.
        self.pages_left: int | None = None
        self.cursors: dict[str, Cursor] = {}
        self.jobs: dict[str, Job] = {}
        # What the next Bulk job says when it fails; null lets it succeed.
        self.next_job_fails: str | None = None

    def admit(self, request: Request) -> None:
        """Every call counts, also one that is then refused."""
        if not self.login.knows(request.headers.get("Authorization", "")):
            raise errors.invalid_session()
        with self.lock:
            self.used += 1
            if self.used > self.daily_limit:
                raise errors.limit_exceeded()

    def sobject(self, name: str) -> SObject:
        found = self.objects.get(name.lower())
        if found is None:
            raise errors.no_such_resource()
        return found

    def plan(self, query: str) -> Plan:
        return planned(soql.parse(query), self.objects)

    def search(self, plan: Plan, *, with_deleted: bool) -> Rows:
        with self.world.lock:
            records = self.world.records(plan.sobject.table)
            seen = self.world.seen(plan.sobject.table, with_deleted=with_deleted)
            return Search(plan, records).rows(seen)

    def open_cursor(self, plan: Plan, rows: Rows, page_size: int) -> Cursor:
        cursor = Cursor(f"01g{secrets.token_hex(6)}{secrets.token_hex(3)[:3].upper()}", plan, rows, page_size)
        with self.lock:
            while len(self.cursors) >= OPEN_CURSORS:
                del self.cursors[next(iter(self.cursors))]
            self.cursors[cursor.name] = cursor
        return cursor

    def cursor(self, name: str) -> Cursor:
        with self.lock:
            cursor = self.cursors.pop(name, None)
            if cursor is None:
                raise errors.invalid_locator()
            self.cursors[name] = cursor
            return cursor

    def writer(self, plan: Plan) -> Writer:
        return Writer(self.world, plan.sobject, plan.fields)

    def page_read(self) -> None:
        """Counts down to the end of the session, where one was set."""
        with self.lock:
            if self.pages_left is None:
                return
            self.pages_left -= 1
            if self.pages_left <= 0:
                self.pages_left = None
                self.login.expire_all()

    def page(self, cursor: Cursor, places: Sequence[int], version: str) -> bytes:
        with self.world.lock:
            return self.writer(cursor.plan).json(places, version)


@dataclass(frozen=True)
class Call:
    """One request to one of the org's endpoints."""

    org: Org
    request: Request
    path: re.Match[str]

    @property
    def version(self) -> str:
        return self.path["version"]


# Method, pattern of the path, and what answers.
Route = tuple[str, str, Callable[[Call], Answer]]
