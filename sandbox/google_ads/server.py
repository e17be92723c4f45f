"""A stand-in for Google Ads' REST interface: OAuth2's token endpoint, and searchStream with the GAQL that we write."""

import re
import secrets
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec

from sandbox.vendor import Answer, Instead, Request, VendorServer, answer_json
from sandbox.world.ads import ACCOUNTS, AdAccount, AdDay, AdWorld

VERSION = "v21"
FAILURE = f"type.googleapis.com/google.ads.googleads.{VERSION}.errors.GoogleAdsFailure"
FIELDS: dict[str, Callable[[AdDay], str]] = {
    "customer.id": lambda row: row.account.id,
    "customer.descriptive_name": lambda row: row.account.name,
    "customer.currency_code": lambda row: row.currency,
    "campaign.id": lambda row: row.campaign_id,
    "campaign.name": lambda row: row.campaign_name,
    "ad_group.id": lambda row: row.group_id,
    "ad_group.name": lambda row: row.group_name,
    "ad_group_ad.ad.id": lambda row: row.ad_id,
    "ad_group_ad.ad.name": lambda row: row.ad_name,
    "ad_group_ad.status": lambda row: "ENABLED",  # noqa: ARG005 - one of these functions
    "metrics.impressions": lambda row: str(row.impressions),
    "metrics.clicks": lambda row: str(row.clicks),
    "metrics.cost_micros": lambda row: str(int(row.spend * 1_000_000)),
    "segments.date": lambda row: row.day.isoformat(),
}
_GAQL = re.compile(
    r"SELECT (?P<fields>.+) FROM (?P<resource>\w+)"
    r"(?: WHERE segments\.date BETWEEN '(?P<first>[\d-]+)' AND '(?P<last>[\d-]+)')?"
)


class GoogleAdsServer:
    """One customer behind a manager account. `batch` is how many rows a batch of the stream holds."""

    def __init__(self, world: AdWorld, *, port: int = 0, batch: int = 10_000) -> None:
        self.world = world
        self.batch = batch
        self.fields = dict(FIELDS)
        self.secrets = {name: secrets.token_hex(12) for name in ("client", "refresh", "developer")}
        self.tokens: set[str] = set()
        self.logins = 0
        self.server = VendorServer(self._answer, lambda: world.now, port)

    def __enter__(self) -> "GoogleAdsServer":
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def settings(self) -> dict[str, str]:
        return {
            "GOOGLE_ADS_BASE_URL": f"{self.server.url}/{VERSION}",
            "GOOGLE_ADS_TOKEN_URL": f"{self.server.url}/token",
            "GOOGLE_ADS_CUSTOMER_ID": ACCOUNTS["google"][0].id,
            "GOOGLE_ADS_LOGIN_CUSTOMER_ID": "900-000-0001",
            "GOOGLE_ADS_CLIENT_ID": "sandbox.apps.googleusercontent.com",
            "GOOGLE_ADS_CLIENT_SECRET": self.secrets["client"],
            "GOOGLE_ADS_REFRESH_TOKEN": self.secrets["refresh"],
            "GOOGLE_ADS_DEVELOPER_TOKEN": self.secrets["developer"],
        }

    def refuse(self, kind: str, code: str, status: int, name: str, *, times: int = 1, after: int = 0) -> None:
        """Answer a search with a GoogleAdsFailure: `refuse("quotaError", "RESOURCE_EXHAUSTED", 429, …)`."""
        self.server.tell(
            Instead("POST *searchStream", failure(kind, code, status, name), times=times, after=after)
        )

    def break_off(self, kind: str, code: str, *, after: int = 0) -> None:
        """A stream whose second batch is an error, though its status was 200."""
        rows = msgspec.json.encode({"results": [], "requestId": "r1"})
        error = failure(kind, code, 500, "INTERNAL").body.strip(b"[]")
        self.server.tell(
            Instead("POST *searchStream", Answer(b"[" + rows + b"\n," + error + b"]"), after=after)
        )

    def _answer(self, request: Request) -> Answer:
        if request.path == "/token":
            return self._token(request)
        found = re.fullmatch(r"/(v\d+)/customers/(\d+)/googleAds:searchStream", request.path)
        if not found or request.method != "POST":
            return answer_json({"error": {"code": 404, "message": "Not found", "status": "NOT_FOUND"}}, 404)
        if refused := self._refused(request, found[1]):
            return refused
        account = self.world.account("google", found[2])
        if account is None:
            return failure("authorizationError", "USER_PERMISSION_DENIED", 403, "PERMISSION_DENIED")
        return self._search(account, request.asked["query"])

    def _refused(self, request: Request, version: str) -> Answer | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            said = {"code": 401, "message": "Request had invalid credentials.", "status": "UNAUTHENTICATED"}
            return answer_json([{"error": said}], 401)
        if request.headers.get("developer-token") != self.secrets["developer"]:
            return failure("authenticationError", "DEVELOPER_TOKEN_INVALID", 401, "UNAUTHENTICATED")
        if version != VERSION:
            return failure("requestError", "UNSUPPORTED_VERSION", 400, "INVALID_ARGUMENT")
        if request.headers.get("login-customer-id") != "9000000001":
            return failure("authorizationError", "USER_PERMISSION_DENIED", 403, "PERMISSION_DENIED")
        return None

    def _token(self, request: Request) -> Answer:
        self.logins += 1
        if request.asked.get("client_secret") != self.secrets["client"]:
            return answer_json(
                {"error": "invalid_client", "error_description": "The OAuth client was not found."}, 401
            )
        if request.asked.get("refresh_token") != self.secrets["refresh"]:
            return answer_json(
                {"error": "invalid_grant", "error_description": "Token has been revoked."}, 400
            )
        token = f"ya29.{secrets.token_hex(8)}"
        self.tokens.add(token)
        return answer_json({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _search(self, account: AdAccount, query: str) -> Answer:
        asked = _GAQL.fullmatch(query)
        if asked is None:
            return failure("queryError", "UNEXPECTED_INPUT", 400, "INVALID_ARGUMENT")
        if asked["resource"] == "customer":
            customer = {"id": account.id, "currencyCode": account.currency, "timeZone": account.time_zone}
            return answer_json([{"results": [{"customer": customer}], "requestId": "r0"}])
        fields = asked["fields"].split(", ")
        if unknown := [name for name in fields if name not in self.fields]:
            says = f"Unrecognized field in the query: '{unknown[0]}'."
            return failure("queryError", "UNRECOGNIZED_FIELD", 400, "INVALID_ARGUMENT", says)
        first, last = date.fromisoformat(asked["first"]), date.fromisoformat(asked["last"])
        rows = [self._row(row, fields) for row in self.world.rows("google", account, first, last)]
        mask = ",".join(_camel(name) for name in fields)
        batches = [
            {"results": rows[start : start + self.batch], "fieldMask": mask, "requestId": f"r{start}"}
            for start in range(0, len(rows), self.batch)
        ]
        return Answer(b"[" + b"\n,\n".join(msgspec.json.encode(batch) for batch in batches) + b"]")

    def _row(self, row: AdDay, fields: list[str]) -> dict[str, Any]:
        held: dict[str, Any] = {"campaign": {"resourceName": f"customers/{row.account.id}/campaigns/1"}}
        for name in fields:
            *outer, last = _camel(name).split(".")
            inner = held
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[last] = self.fields[name](row)
        return held


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def failure(kind: str, code: str, status: int, name: str, says: str = "Refused as told.") -> Answer:
    details: list[dict[str, Any]] = [
        {"@type": FAILURE, "errors": [{"errorCode": {kind: code}, "message": says}], "requestId": "r9"}
    ]
    if status == 429:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"})
    error = {"code": status, "message": "Request was refused.", "status": name, "details": details}
    return answer_json([{"error": error}], status)
