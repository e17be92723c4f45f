"""Patience over a socket: what is asked again, for how long, and what is said at the end."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from data_platform.connectors import http
from data_platform.connectors.base import SourceError
from data_platform.connectors.http import PatientSession, Unreadable, retry_after

GOOD = (200, {"Content-Type": "application/json"}, b'{"a":1}')


class Script:
    """A server that gives these answers, one per request, the last one for ever."""

    def __init__(self) -> None:
        self.answers = [GOOD]
        self.asked = 0
        self.paths: list[str] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = script.answers[min(script.asked, len(script.answers) - 1)]
                script.asked += 1
                script.paths.append(self.path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/rows?key=00Q5"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(http, "FIRST_WAIT", 0.01)
    script = Script()
    yield script
    script.server.shutdown()
    script.server.server_close()


def session(retries: int = 3, timeout: float = 5.0) -> PatientSession:
    return PatientSession("Somewhere", retries=retries, timeout=timeout)


@pytest.mark.parametrize("status", sorted(http.PASSING_STATUSES))
def test_what_passes_is_asked_again(script, status):
    script.answers = [(status, {}, b""), (status, {}, b""), GOOD]
    assert session().get(script.url).json() == {"a": 1}
    assert script.asked == 3


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 501])
def test_what_does_not_pass_is_handed_over_at_once(script, status):
    script.answers = [(status, {}, b"as it is")]
    answer = session().get(script.url)
    assert (answer.status_code, answer.content, script.asked) == (status, b"as it is", 1)


@pytest.mark.parametrize(
    "spoiled",
    [
        (200, {"Content-Type": "application/json"}, b'{"a":'),
        (
            200,
            {"Content-Type": "application/json", "Content-Length": "500", "Connection": "close"},
            b'{"a":1}',
        ),
    ],
    ids=["malformed", "truncated"],
)
def test_only_whole_answers_are_handed_over(script, spoiled):
    script.answers = [spoiled, GOOD]
    assert session(timeout=0.5).get(script.url).json() == {"a": 1}


def test_a_hook_may_have_the_question_asked_again(script):
    script.answers = [(200, {}, b"half"), (200, {}, b"whole")]

    def must_be_whole(answer: requests.Response, **_: object) -> None:
        if answer.content != b"whole":
            raise Unreadable("it was not whole")

    assert session().get(script.url, hooks={"response": must_be_whole}).content == b"whole"


def test_the_error_at_the_end_names_what_was_asked_without_its_query(script):
    script.answers = [(503, {}, b"row content")]
    with pytest.raises(SourceError) as error:
        session(retries=2).get(script.url)
    says = str(error.value)
    assert "Somewhere" in says
    assert "/rows was asked 3 times" in says
    assert "503" in says
    assert "00Q5" not in says
    assert "row content" not in says
    assert script.asked == 3


@pytest.mark.parametrize("wait", ["1", "Mon, 01 Jun 2026 06:00:01 GMT"], ids=["seconds", "date"])
def test_retry_after_is_kept(script, wait):
    # The source's own clock counts, not ours.
    script.answers = [(503, {"Retry-After": wait, "Date": "Mon, 01 Jun 2026 06:00:00 GMT"}, b""), GOOD]
    answer = requests.Response()
    answer.headers.update(script.answers[0][1])
    assert retry_after(answer) == 1.0
    script.answers[0] = (503, {"Retry-After": "1"}, b"")
    started = time.monotonic()
    session().get(script.url)
    assert time.monotonic() - started >= 1.0


def test_a_pause_longer_than_a_run_waits_is_left_to_the_next(script):
    script.answers = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(SourceError, match="left alone for 3600 s"):
        session().get(script.url)
    assert script.asked == 1


def test_waits_grow_and_are_drawn_by_chance(script, monkeypatch):
    bounds, waits = [], []
    monkeypatch.setattr(http.random, "uniform", lambda least, most: bounds.append((least, most)) or 0.0)
    monkeypatch.setattr(http.time, "sleep", waits.append)
    monkeypatch.setattr(http, "FIRST_WAIT", 0.5)
    script.answers = [(500, {}, b"")]
    with pytest.raises(SourceError):
        session(retries=8).get(script.url)
    assert bounds == [(0, wait) for wait in (0.5, 1, 2, 4, 8, 16, 30.0, 30.0)]
    assert len(waits) == 8


def test_an_address_that_is_none_is_not_asked_again():
    with pytest.raises(SourceError, match="not an address"):
        session().get("no-address")


def test_a_host_is_asked_by_the_proxy_that_the_environment_names_for_it(script, monkeypatch):
    """The script's server stands in for the proxy, which is asked for whole addresses."""
    monkeypatch.setenv("http_proxy", script.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asking = session()
    for url in ("http://far.example/a", "http://far.example/b", script.url):
        assert asking.get(url).json() == {"a": 1}
    assert script.paths == ["http://far.example/a", "http://far.example/b", "/rows?key=00Q5"]
