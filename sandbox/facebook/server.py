"""A stand-in for Facebook's Graph API: ad accounts, asynchronous insights reports, their pages and usage headers."""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

import msgspec

from sandbox.vendor import Answer, Instead, Request, VendorServer, answer_json
from sandbox.world.ads import ACCOUNTS, AdDay, AdWorld

VERSION = "v23.0"
FIELDS: dict[str, Callable[[AdDay], str]] = {
    "account_id": lambda row: row.account.id,
    "account_name": lambda row: row.account.name,
    "account_currency": lambda row: row.currency,
    "campaign_id": lambda row: row.campaign_id,
    "campaign_name": lambda row: row.campaign_name,
    "adset_id": lambda row: row.group_id,
    "adset_name": lambda row: row.group_name,
    "ad_id": lambda row: row.ad_id,
    "ad_name": lambda row: row.ad_name,
    "impressions": lambda row: str(row.impressions),
    "clicks": lambda row: str(row.clicks),
    "reach": lambda row: str(row.impressions // 2),
    "inline_link_clicks": lambda row: str(row.clicks // 2),
    "spend": lambda row: str(row.spend),
}


@dataclass
class _Report:
    rows: list[dict[str, str]]
    looks: int


class FacebookServer:
    """Two ad accounts. `looks` is how often a report is looked at before it is computed."""

    def __init__(self, world: AdWorld, *, port: int = 0, looks: int = 1) -> None:
        self.world = world
        self.looks = looks
        self.token = f"EAA{secrets.token_hex(16)}"
        self.fields = dict(FIELDS)
        self.failing_reports = 0
        self._reports: dict[str, _Report] = {}
        # Counted in one breath: two questions may come at once.
        self._runs = count(6_023_920_149_000)
        self._pages: dict[tuple[str, int, int], bytes] = {}
        self.server = VendorServer(self._answer, lambda: world.now, port)

    def __enter__(self) -> "FacebookServer":
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def settings(self) -> dict[str, str]:
        return {
            "FACEBOOK_ADS_BASE_URL": f"{self.server.url}/{VERSION}",
            "FACEBOOK_ADS_ACCOUNT_ID": ",".join(account.id for account in ACCOUNTS["facebook"]),
            "FACEBOOK_ADS_ACCESS_TOKEN": self.token,
        }

    def refuse(
        self, code: int, question: str = "*", *, times: int = 1, after: int = 0, **headers: Any
    ) -> None:
        """Answer with an error of the Graph API; `usage` and `throttle` are what the usage headers say."""
        answer = error(code, f"(#{code}) refused as told", 400)
        if "usage" in headers:
            usage = [{"type": "ads_insights", "estimated_time_to_regain_access": headers["usage"]}]
            answer.headers["X-Business-Use-Case-Usage"] = json.dumps({ACCOUNTS["facebook"][0].id: usage})
        self.server.tell(Instead(question, answer, times=times, after=after))

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return error(190, "Error validating access token: Session has expired", 400, subcode=463)
        version, _, path = request.path.strip("/").partition("/")
        if version != VERSION:
            return error(2635, "You are calling a deprecated version of the Ads API.", 400)
        if found := re.fullmatch(r"act_(\d+)(/insights)?", path):
            return self._account_answer(request, found[1], asks_insights=bool(found[2]))
        run, _, edge = path.partition("/")
        if run not in self._reports:
            return error(
                100, f"Unsupported get request. Object with ID '{run}' does not exist", 400, subcode=33
            )
        return self._page(run, request) if edge == "insights" else self._state(run)

    def _account_answer(self, request: Request, id_: str, *, asks_insights: bool) -> Answer:
        account = self.world.account("facebook", id_)
        if account is None:
            return error(200, "(#200) Ad account owner has NOT grant ads_management or ads_read", 403)
        if not asks_insights:
            said = {"account_id": id_, "currency": account.currency, "timezone_name": account.time_zone}
            return answer_json({**said, "id": f"act_{id_}"})
        asked = request.asked["fields"].split(",")
        if unknown := [name for name in asked if name not in self.fields]:
            return error(100, f"(#100) {unknown[0]} is not valid for fields param.", 400)
        span = json.loads(request.asked["time_range"])
        first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
        rows = [
            {name: self.fields[name](row) for name in asked}
            | {"date_start": row.day.isoformat(), "date_stop": row.day.isoformat()}
            for row in self.world.rows("facebook", account, first, last)
        ]
        run = str(next(self._runs))
        self._reports[run] = _Report(rows, self.looks)
        return answer_json({"report_run_id": run})

    def _state(self, run: str) -> Answer:
        report = self._reports[run]
        status, percent = "Job Completed", 100
        if self.failing_reports:
            self.failing_reports -= 1
            status, percent = "Job Failed", 40
        elif report.looks > 0:
            report.looks -= 1
            status, percent = "Job Running", 50
        return answer_json({"id": run, "async_status": status, "async_percent_completion": percent})

    def _page(self, run: str, request: Request) -> Answer:
        rows, limit = self._reports[run].rows, int(request.asked.get("limit", 25))
        start = int(request.asked.get("after", 0))
        place = (run, start, limit)
        if place not in self._pages:
            end = min(start + limit, len(rows))
            paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(end)}}
            if end < len(rows):
                paging["next"] = f"{self.server.url}/{VERSION}/{run}/insights?access_token=…&after={end}"
            self._pages[place] = msgspec.json.encode({"data": rows[start:end], "paging": paging})
        return Answer(self._pages[place])


def error(code: int, message: str, status: int, subcode: int | None = None) -> Answer:
    said = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1b2C3d4"}
    return answer_json({"error": said | ({"error_subcode": subcode} if subcode else {})}, status)
