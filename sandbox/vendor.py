"""A vendor's HTTP server, whichever vendor: connections, its clock, and the answers that it was told to give instead.

`with VendorServer(answer, clock) as server: …`
"""

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec


@dataclass(frozen=True)
class Request:
    """`asked` holds what the query string says, and what a form or a JSON object in the body does."""

    method: str
    path: str
    asked: dict[str, Any]
    headers: Any


@dataclass
class Answer:
    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def answer_json(value: Any, status: int = 200) -> Answer:
    return Answer(msgspec.json.encode(value), status)


@dataclass
class Instead:
    """What `times` requests like `question` (`GET /path*`) meet, once `after` of them went well: an answer, or a
    connection that ends before it (`cut`), in the middle of it (`truncate`) or a body that does (`garble`)."""

    question: str
    answer: Answer | None = None
    way: Literal["answer", "cut", "truncate", "garble"] = "answer"
    times: int = 1
    after: int = 0
    seconds: float = 0.0


class VendorServer:
    """Listens on a free port of this machine unless one is named; tells the time of `clock`."""

    def __init__(
        self, answer: Callable[[Request], Answer], clock: Callable[[], datetime], port: int = 0
    ) -> None:
        self.answer = answer
        self.clock = clock
        # Each request that came, as `GET /path`.
        self.asked: list[str] = []
        self._instead: list[Instead] = []
        self._lock = Lock()
        self._listener = _Listener(self, port)
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"

    def tell(self, instead: Instead) -> None:
        with self._lock:
            self._instead.append(instead)

    def due(self, question: str) -> Instead | None:
        with self._lock:
            self.asked.append(question)
            for each in self._instead:
                if not fnmatchcase(question, each.question):
                    continue
                if each.after > 0:
                    each.after -= 1
                    continue
                each.times -= 1
                if not each.times:
                    self._instead.remove(each)
                return each
        return None

    def __enter__(self) -> "VendorServer":
        Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: VendorServer, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to tell of."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: what was asked is kept by the server."""

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the library's signature
        return format_datetime(self.server.owner.clock(), usegmt=True)

    def _respond(self) -> None:
        parts = urlsplit(self.path)
        request = Request(self.command, unquote(parts.path), self._asked(parts.query), self.headers)
        instead = self.server.owner.due(f"{self.command} {request.path}")
        if instead:
            time.sleep(instead.seconds)
        if instead and instead.way == "cut":
            self._hang_up()
            return
        self._send((instead and instead.answer) or self.server.owner.answer(request), instead)

    do_GET = do_POST = _respond  # noqa: N815 - the library's names

    def _asked(self, query: str) -> dict[str, Any]:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked: dict[str, Any] = dict(parse_qsl(query))
        if "json" in self.headers.get("Content-Type", ""):
            return asked | (msgspec.json.decode(body) if body else {})
        return asked | dict(parse_qsl(body.decode()))

    def _send(self, answer: Answer, instead: Instead | None) -> None:
        body = answer.body
        if instead and instead.way == "garble":
            body = body[: len(body) // 2]
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if instead and instead.way == "truncate":
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
            return
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
