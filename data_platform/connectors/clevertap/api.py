"""CleverTap's API over HTTP: credentials on each request, answers that are still being computed, and refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import requests

from data_platform.connectors.base import CredentialsRefused, ReadAgain, SourceError
from data_platform.connectors.http import HeaderAuth, PatientSession, Unreadable, header_date
from data_platform.connectors.json_pages import said_beside_records
from data_platform.connectors.patience import Patience
from data_platform.settings import Settings

# The most that one page can hold.
PAGE_ROWS = 5_000


class _Said(msgspec.Struct):
    """What an answer holds beside its records."""

    status: str = ""
    cursor: str = ""
    next_cursor: str = ""
    req_id: str = ""
    count: int = 0
    code: int | None = None
    error: str = ""


_SAID = msgspec.json.Decoder(_Said)


class Api:
    """What this folder asks of CleverTap. Nothing is opened before the first question."""

    def __init__(self, settings: Settings) -> None:
        self._base_url = (settings.clevertap_base_url or "").rstrip("/")
        self.account = settings.clevertap_account_id or ""
        passcode = settings.clevertap_passcode
        if not self._base_url or not self.account or not passcode:
            raise CredentialsRefused(
                "CleverTap can't be asked: set CLEVERTAP_BASE_URL (of the account's region, as "
                "https://eu1.api.clevertap.com), CLEVERTAP_ACCOUNT_ID and CLEVERTAP_PASSCODE, or start the sandbox"
            )
        self._session = PatientSession(
            "CleverTap", retries=settings.http_retries, timeout=settings.http_timeout
        )
        self._session.auth = HeaderAuth(
            {"X-CleverTap-Account-Id": self.account, "X-CleverTap-Passcode": passcode.get_secret_value()}
        )
        self._patience = Patience("CleverTap", settings.window_patience)

    @property
    def now(self) -> datetime:
        """By CleverTap's clock, which it tells with any answer, a refusal too."""
        answer = self._session.get(f"{self._base_url}/1/")
        return header_date(answer.headers.get("Date", "")) or datetime.now(UTC)

    def count(self, what: str, question: dict[str, Any]) -> int:
        return self._told("POST", f"counts/{what}", json=question)[1].count

    def pages(self, what: str, question: dict[str, Any]) -> Iterator[bytes]:
        """The bodies of all pages that answer a question."""
        cursor = self._told("POST", what, params={"batch_size": PAGE_ROWS}, json=question)[1].cursor
        while cursor:
            body, said = self._told("GET", what, params={"cursor": cursor})
            yield body
            cursor = said.next_cursor

    def _told(self, method: str, path: str, **options: Any) -> tuple[bytes, _Said]:
        """An answer, once it is whole: until then CleverTap says `partial`, and what to ask for the rest by."""
        for _ in self._patience.looks(f"{path} is still being computed"):
            answer = self._session.request(method, f"{self._base_url}/1/{path}", **options)
            said = self._heard(answer, path, by_cursor="cursor" in options.get("params", {}))
            if said.status != "partial":
                break
            if said.req_id:
                method, options = "GET", {"params": {"req_id": said.req_id}}
        return answer.content, said

    def _heard(self, answer: requests.Response, path: str, *, by_cursor: bool) -> _Said:
        try:
            said = said_beside_records(answer.content, _SAID, _names_next_page)
        except msgspec.ValidationError:
            said = _Said()
        except msgspec.DecodeError:
            if answer.status_code == 200:
                raise Unreadable("its answer was no whole JSON") from None
            said = _Said()
        if answer.status_code == 200 and said.status in ("success", "partial"):
            return said
        raise _refusal(answer.status_code, said, path, by_cursor=by_cursor)


def _names_next_page(said: _Said) -> bool:
    return bool(said.status and said.next_cursor)


def _refusal(status: int, said: _Said, path: str, *, by_cursor: bool) -> SourceError:
    refused = f"CleverTap refused {path} with {status}, code {said.code}"
    if status in (401, 403):
        return CredentialsRefused(
            f"{refused}: it does not know this account and passcode in this region. Check CLEVERTAP_ACCOUNT_ID, "
            "CLEVERTAP_PASSCODE, and that CLEVERTAP_BASE_URL is the account's region"
        )
    if status in (404, 410):
        return SourceError(
            f"{refused}: this version of the API is not served there (any more). Check CLEVERTAP_BASE_URL, and "
            "CleverTap's release notes; see docs/source-changes.md"
        )
    if by_cursor:
        return ReadAgain(f"{refused}: its cursor has run out")
    return SourceError(
        f"{refused}: it does not take our question. Check that the event names under `reads` in "
        "sources/clevertap.py are still those of the account"
    )
