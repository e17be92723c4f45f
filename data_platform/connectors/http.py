"""Asking a source over HTTP: which answers are worth asking again, how long to wait, what to say at the end.

Nothing here knows a vendor. A connector gives the session its own login (a requests auth) and checks an
answer with a response hook; a hook that raises `Unreadable` has the question asked again.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import NameResolutionError, NewConnectionError

from data_platform.connectors.base import SourceError

log = logging.getLogger(__name__)

PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
# A source that asks for a longer pause than this is left to the next run.
LONGEST_PAUSE = 300.0
# A longer answer is a page of records. Whoever reads it finds out whether it is whole, and asks again.
LONGEST_CHECKED = 1024 * 1024


class Unreadable(Exception):
    """An answer that came cut or malformed: an outage, so worth asking again."""


class _WholeAnswers(HTTPAdapter):
    """Reads every answer in one go: in pieces of requests' own size, a page costs twice as much."""

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        answer = super().send(request, **(options | {"stream": True}))
        answer._content = b"".join(answer.iter_content(None))
        return answer


class HeaderAuth(AuthBase):
    """Puts the same headers on each request. Where a session has no login, requests looks into files for one."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class BearerAuth(AuthBase):
    """Puts a token on each request, and asks for a new one, once, when the source says that it has expired."""

    def __init__(self) -> None:
        self._renewing = threading.Lock()
        self._token = ""

    def login(self) -> None:
        """Get a token. Its questions go by a session of their own: a login must not itself carry the token."""
        raise NotImplementedError

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        request.register_hook("response", self._renew_where_expired)  # type: ignore[no-untyped-call]
        return request

    def _renew_where_expired(self, answer: requests.Response, **options: Any) -> requests.Response:
        if answer.status_code != 401:
            return answer
        with self._renewing:
            # Another thread may have renewed it since this request left.
            if answer.request.headers["Authorization"] == f"Bearer {self._token}":
                self.login()
        # The connection can't be used again before its answer was read to the end.
        _ = answer.content
        answer.close()
        again = answer.request.copy()
        again.headers["Authorization"] = f"Bearer {self._token}"
        renewed: requests.Response = answer.connection.send(again, **options)
        renewed.request = again
        renewed.history.append(answer)
        return renewed


class PatientSession(requests.Session):
    """A requests session that waits out what passes by itself, and hands over only whole answers."""

    def __init__(
        self,
        source: str,
        *,
        retries: int,
        timeout: float,
        ca_bundle: Path | None = None,
        on_answer: Callable[[requests.Response], None] | None = None,
    ) -> None:
        super().__init__()
        self.mount("https://", _WholeAnswers())
        self.mount("http://", _WholeAnswers())
        self.source = source
        self.retries = retries
        self.timeout = timeout
        self.ca_bundle = ca_bundle
        self.on_answer = on_answer
        self._of_hosts: dict[tuple[str, str], Any] = {}

    def merge_environment_settings(self, url: str | bytes | None, *said: Any) -> Any:
        """What the environment says of a host (its proxy, its certificates) is looked up once: for each question it
        takes longer than many an answer."""
        if any(said):
            return super().merge_environment_settings(url, *said)
        place = urlsplit(str(url))
        host = (place.scheme, place.netloc)
        if host not in self._of_hosts:
            self._of_hosts[host] = super().merge_environment_settings(url, *said)
        return self._of_hosts[host]

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        try:
            return super().prepare_request(request)
        except ValueError:
            raise SourceError(
                f"{self.source} could not be asked: {str(request.url).split('?')[0]!r} is not an address; "
                "correct the setting it comes from"
            ) from None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or self.timeout
        if self.ca_bundle:
            # Said per request, since REQUESTS_CA_BUNDLE in the environment overrides the session's own.
            options["verify"] = str(self.ca_bundle)
        question = f"{request.method} {_without_query(request.url)}"
        started = time.monotonic()
        for tried in range(self.retries + 1):
            answer: requests.Response | None = None
            try:
                answer = super().send(request, **options)
                if self.on_answer:
                    self.on_answer(answer)
                if answer.status_code not in PASSING_STATUSES:
                    _must_be_whole(answer)
                    return answer
                trouble = f"it answered {answer.status_code}"
            except Unreadable as error:
                trouble = str(error)
            except (requests.RequestException, OSError) as error:
                # The library's own words quote the whole address, and with it keys of rows.
                trouble = self._trouble_that_passes(error, question)
            if tried < self.retries:
                pause = self._pause(tried, answer, question)
                log.info("%s: %s: %s; asking again in %.1f s", self.source, question, trouble, pause)
                time.sleep(pause)
        raise SourceError(
            f"{self.source} could not be read: {question} was asked {self.retries + 1} times in "
            f"{time.monotonic() - started:.0f} s, and the last time {trouble}. "
            "See whether it is reachable and well, then run again; the position stands"
        )

    def _pause(self, tried: int, answer: requests.Response | None, question: str) -> float:
        # Full jitter, so that many clients don't come back together.
        jitter = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**tried))  # noqa: S311 - no secret
        asked = retry_after(answer) if answer is not None else None
        if asked is None:
            return jitter
        if asked > LONGEST_PAUSE:
            raise SourceError(
                f"{self.source} asks to be left alone for {asked:.0f} s ({question}), and a run waits "
                f"{LONGEST_PAUSE:.0f} s at most. Run again after that; the position stands"
            )
        return asked + min(jitter, FIRST_WAIT)

    def _trouble_that_passes(self, error: Exception, question: str) -> str:
        """What went wrong, where asking again may help; what can't pass is raised."""
        lasting = None
        if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in str(error):
            known = self.ca_bundle or "the usual authorities (no CA bundle is set for this source)"
            lasting = f"its certificate is not signed by {known}; set the CA bundle of who signed it"
        elif isinstance(error, ValueError):
            lasting = "that is not an address; correct the setting it comes from"
        elif not isinstance(error, (requests.RequestException, ConnectionError)):
            lasting = (
                f"CA bundle {self.ca_bundle or 'of the environment'} can't be read; correct that setting"
            )
        if lasting:
            raise SourceError(f"{self.source} could not be asked {question}: {lasting}") from None
        return _passing_trouble(error, self.timeout)


def _passing_trouble(error: Exception, timeout: float) -> str:
    if isinstance(error, requests.Timeout):
        return f"it gave no answer within {timeout:g} s"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, NameResolutionError):
        return "its host name is not known"
    if isinstance(reason, NewConnectionError):
        return "it took no connection"
    return "the connection was cut"


def _must_be_whole(answer: requests.Response) -> None:
    is_json = "json" in answer.headers.get("Content-Type", "")
    if answer.status_code == 200 and is_json and len(answer.content) <= LONGEST_CHECKED:
        try:
            msgspec.json.decode(answer.content, type=msgspec.Raw)
        except msgspec.DecodeError:
            raise Unreadable("its answer was no whole JSON") from None


def _without_query(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def retry_after(answer: requests.Response) -> float | None:
    """The seconds that an answer asks to wait, given as such or as a date by the source's own clock."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    until = header_date(asked)
    if until is None:
        return None
    now = header_date(answer.headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def header_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
