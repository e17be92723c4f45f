"""A stand-in for CleverTap's API: cursors and their pages for profiles and events, and counts that take a while."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from sandbox.vendor import Answer, Instead, Request, VendorServer, answer_json
from sandbox.world.engagement import EVENTS, EngagementWorld

Record = dict[str, Any]


class CleverTapServer:
    """One account in one region. `computing` is how often an answer is asked for before it is computed."""

    def __init__(self, world: EngagementWorld, *, port: int = 0, computing: int = 1) -> None:
        self.world = world
        self.computing = computing
        self.account = "TEST-Z99-ZZZ-999Z"
        self.passcode = secrets.token_hex(12)
        # How today's API writes a record; a test lets it change.
        self.shape: Callable[[Record], Record] = lambda record: record
        self.page_rows = 5_000
        self._cursors: dict[str, list[Record]] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self.server = VendorServer(self._answer, lambda: world.now, port)

    def __enter__(self) -> "CleverTapServer":
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def settings(self) -> dict[str, str]:
        return {
            "CLEVERTAP_BASE_URL": self.server.url,
            "CLEVERTAP_ACCOUNT_ID": self.account,
            "CLEVERTAP_PASSCODE": self.passcode,
        }

    def refuse(self, status: int, question: str = "*", *, times: int = 1, after: int = 0) -> None:
        self.server.tell(Instead(question, fail(status), times=times, after=after))

    def _answer(self, request: Request) -> Answer:
        known = request.headers.get("X-CleverTap-Account-Id"), request.headers.get("X-CleverTap-Passcode")
        if known != (self.account, self.passcode):
            return fail(401)
        match request.method, request.path:
            case _, "/1/counts/events.json":
                return self._count(request)
            case "POST", "/1/events.json" | "/1/profiles.json":
                return self._cursor(request)
            case "GET", "/1/events.json" | "/1/profiles.json":
                return self._page(request.asked["cursor"])
            case _:
                return fail(404)

    def _records(self, request: Request) -> list[Record] | None:
        if request.asked["event_name"] not in EVENTS:
            return None
        first, last = (
            datetime.strptime(f"{request.asked[end]}+0000", "%Y%m%d%z").date() for end in ("from", "to")
        )
        read = self.world.events if request.path.endswith("events.json") else self.world.profiles
        return [self.shape(record) for record in read(request.asked["event_name"], first, last)]

    def _count(self, request: Request) -> Answer:
        number = request.asked.get("req_id")
        if number is None:
            records = self._records(request)
            if records is None:
                return fail(400)
            number = secrets.token_hex(6)
            self._counts[number] = (len(records), self.computing)
        count, left = self._counts[number]
        if left:
            self._counts[number] = (count, left - 1)
            return answer_json({"status": "partial", "req_id": number})
        return answer_json({"status": "success", "count": count})

    def _cursor(self, request: Request) -> Answer:
        records = self._records(request)
        if records is None:
            return fail(400)
        self.page_rows = min(int(request.asked["batch_size"]), 5_000)
        return answer_json({"status": "success", "cursor": self._kept(records)})

    def _page(self, cursor: str) -> Answer:
        if cursor not in self._cursors:
            return fail(400)
        records = self._cursors[cursor]
        page: dict[str, Any] = {"status": "success", "records": records[: self.page_rows]}
        if rest := records[self.page_rows :]:
            page["next_cursor"] = self._kept(rest)
        return Answer(msgspec.json.encode(page))

    def _kept(self, records: list[Record]) -> str:
        cursor = secrets.token_urlsafe(12)
        self._cursors[cursor] = records
        return cursor


def fail(status: int) -> Answer:
    return answer_json({"status": "fail", "error": "Refused", "code": status % 100}, status)
