"""One Salesforce org over HTTP: simple-salesforce on a session that is patient and watches the quota."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import requests
from simple_salesforce.api import Salesforce as Client
from simple_salesforce.exceptions import SalesforceError
from simple_salesforce.util import call_salesforce

from data_platform.connectors.base import CredentialsRefused, ReadAgain, SourceError
from data_platform.connectors.http import PatientSession, header_date
from data_platform.connectors.salesforce.auth import SalesforceAuth
from data_platform.connectors.salesforce.quota import Quota
from data_platform.settings import Settings

Answer = TypeVar("Answer")

_RECORD_ID = re.compile(r"\b[0-9a-zA-Z]{5}0[0-9a-zA-Z]{9}(?:[0-9a-zA-Z]{3})?\b")

# A field may vanish between describe and query; a query that took too long may be quicker the next time.
_PASSING = frozenset({"INVALID_FIELD", "QUERY_TIMEOUT"})


class Refused(SourceError):
    """Salesforce understood the question and refused it; `code` is its own name for why."""

    def __init__(self, says: str, code: str) -> None:
        super().__init__(says)
        self.code = code


class Org:
    """What this folder asks of Salesforce. Nothing is opened before the first question."""

    def __init__(self, settings: Settings) -> None:
        self.version = settings.salesforce_api_version
        self._settings = settings
        self._session = self._patient_session()
        self._auth = SalesforceAuth(settings, self._patient_session())
        self._session.auth = self._auth
        self._client: Client | None = None
        self._quota = Quota(
            settings.salesforce_quota_reserve, settings.salesforce_quota_patience, self._ask_limits
        )
        self._clock: datetime | None = None

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self._ask(lambda: getattr(self._salesforce, name).describe())
        return described

    def deleted(self, name: str, start: datetime, end: datetime) -> dict[str, Any]:
        listed: dict[str, Any] = self._ask(lambda: getattr(self._salesforce, name).deleted(start, end))
        return listed

    def count(self, soql: str) -> int:
        return int(self.call("GET", "queryAll", params={"q": soql}).json()["totalSize"])

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any other call. `path` follows the version, or is one that Salesforce gave us (/services/…)."""
        headers = options.pop("headers", {})

        def once() -> requests.Response:
            base = self._salesforce.base_url
            url = f"https://{self._salesforce.sf_instance}{path}" if path.startswith("/") else base + path
            return call_salesforce(url, method, self._session, dict(headers), **options)

        return self._ask(once)

    @property
    def now(self) -> datetime:
        """The second that Salesforce's own clock is in (ours, where it did not say), rounded up."""
        return (self._clock or datetime.now(UTC)).replace(microsecond=0) + timedelta(seconds=1)

    def _patient_session(self) -> PatientSession:
        return PatientSession(
            "Salesforce",
            retries=self._settings.http_retries,
            timeout=self._settings.http_timeout,
            ca_bundle=self._settings.salesforce_ca_bundle,
            on_answer=self._take_note,
        )

    @property
    def _salesforce(self) -> Client:
        if self._client is None:
            self._auth.login()
            self._client = Client(
                instance_url=self._auth.instance_url,
                # The session's auth puts the real one on each request, and renews it.
                session_id="held by the session",
                session=self._session,
                version=self.version,
            )
        return self._client

    def _take_note(self, answer: requests.Response) -> None:
        self._quota.saw(answer.headers.get("Sforce-Limit-Info", ""))
        self._clock = header_date(answer.headers.get("Date", ""))

    def _ask_limits(self) -> None:
        # Where the quota is spent to the last call, this one is refused as well, and the wait goes on.
        try:
            self._salesforce.limits()
        except SalesforceError as error:
            self._wait_or_raise(error)

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        while True:
            self._quota.wait_for_room()
            try:
                return question()
            except SalesforceError as error:
                self._wait_or_raise(error)

    def _wait_or_raise(self, error: SalesforceError) -> None:
        if _code(error) != "REQUEST_LIMIT_EXCEEDED":
            raise _refused(error) from None
        self._quota.refused()


def _code(error: SalesforceError) -> str:
    return _first(error).get("errorCode", "UNKNOWN")


def _refused(error: SalesforceError) -> SourceError:
    code = _code(error)
    path = error.url.split("?")[0]
    if error.status == 401:
        return CredentialsRefused(
            f"Salesforce refused a session that it had just given ({code} at {path}). "
            "Check that the connected app may use the API (its scopes: api, refresh_token)"
        )
    # The message may quote the question, and with it the Id of a record.
    said = _RECORD_ID.sub("<an Id>", " ".join(_first(error).get("message", "").split()))[:300]
    says = f"Salesforce refused {path} with {error.status} {code}: {said}"
    return ReadAgain(says) if code in _PASSING else Refused(says, code)


def _first(error: SalesforceError) -> dict[str, str]:
    content: Any = error.content
    return content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
