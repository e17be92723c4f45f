"""The server: TLS, keep-alive and headers around the org. `with SalesforceServer(World()) as server: …`."""

import gzip
import re
import socket
import socketserver
import ssl
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.certificate import certificate_in
from sandbox.salesforce import bulk, rest
from sandbox.salesforce.control import Control
from sandbox.salesforce.encode import http_date
from sandbox.salesforce.errors import ApiError, no_such_resource
from sandbox.salesforce.exchange import Answer, Request, answer_error, answer_json
from sandbox.salesforce.misbehaviour import Misbehaviour, Orders
from sandbox.salesforce.oauth import Credentials, Login
from sandbox.salesforce.org import Call, Org
from sandbox.world.company import World

ROUTES = [
    (method, re.compile(pattern), endpoint) for method, pattern, endpoint in (*rest.ROUTES, *bulk.ROUTES)
]


class SalesforceServer:
    """A stand-in for one Salesforce org, on a free port of this machine unless one is named."""

    def __init__(
        self,
        world: World,
        *,
        folder: Path | None = None,
        port: int = 0,
        credentials: Credentials | None = None,
        daily_limit: int = 100_000,
    ) -> None:
        self.world = world
        self.credentials = credentials or Credentials.new()
        # Whether answers are gzipped for clients that accept it.
        self.compresses = False
        self.orders = Orders()
        self._own_folder = TemporaryDirectory(prefix="sandbox-") if folder is None else None
        certificate = certificate_in(folder or Path(self._own_folder.name if self._own_folder else ""))
        self.ca_file = certificate.authority
        self._listener = _Listener(self, certificate.server, port)
        self.url = f"https://127.0.0.1:{self.port}"
        self.login = Login(self.credentials, self.url)
        self.org = Org(world, self.login, daily_limit)
        self.control = Control(self.org, self.orders)

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    def settings(self) -> dict[str, str]:
        """The platform's settings for this org, by their names in the environment."""
        return {
            "SALESFORCE_LOGIN_URL": self.url,
            "SALESFORCE_CLIENT_ID": self.credentials.client_id,
            "SALESFORCE_CLIENT_SECRET": self.credentials.client_secret,
            "SALESFORCE_REFRESH_TOKEN": self.credentials.refresh_token,
            "SALESFORCE_CA_BUNDLE": str(self.ca_file),
        }

    def start(self) -> "SalesforceServer":
        Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.close_all()
        if self._own_folder:
            self._own_folder.cleanup()

    def __enter__(self) -> "SalesforceServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, request: Request) -> Answer:
        try:
            return self._answered(request)
        except ApiError as error:
            return answer_error(error)

    def _answered(self, request: Request) -> Answer:
        path = request.path.rstrip("/")
        if path.startswith("/_sandbox/"):
            return self._told(path.removeprefix("/_sandbox/"), request)
        if path == "/services/oauth2/token" and request.method == "POST":
            return self.login.answer(request)
        if path == "/services/data":
            return rest.versions()
        self.org.admit(request)
        for method, pattern, endpoint in ROUTES:
            found = pattern.fullmatch(path)
            if found and method == request.method:
                return endpoint(Call(self.org, request, found))
        raise no_such_resource()

    def _told(self, command: str, request: Request) -> Answer:
        """The same handle that tests hold, for the command line."""
        try:
            return answer_json(self.control.obey(command, request.json()))
        except (TypeError, ValueError, LookupError) as error:
            return answer_json({"error": str(error)}, 400)


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections; each has a thread, in which TLS is agreed on too."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, owner: SalesforceServer, certificate: Path, port: int) -> None:
        self.owner = owner
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            secured = self._context.wrap_socket(request, server_side=True)
        except OSError:
            # A client that trusts another authority hangs up here.
            request.close()
            return
        self._connections.add(secured)
        super().process_request_thread(secured, client_address)
        self._connections.discard(secured)

    def close_all(self) -> None:
        self.server_close()
        for connection in list(self._connections):
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to tell of."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, sends answers, and spoils them where that was ordered."""

    protocol_version = "HTTP/1.1"
    server_version = "sfdcedge"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: what was asked is in the answer."""

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the library's signature
        """The company's clock, which no SystemModstamp is ahead of."""
        return http_date(self.server.owner.world.clock)

    def _respond(self) -> None:
        owner = self.server.owner
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), self.headers, body)
        order = None if parts.path.startswith("/_sandbox/") else owner.orders.due(parts.path)
        if order and order.kind == "slow":
            time.sleep(order.seconds)
        if order and order.kind == "cut":
            self._hang_up()
            return
        answer = order.answer() if order and order.kind == "status" else owner.answer(request)
        self._send(answer, order)

    do_GET = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815 - the library's names

    def _send(self, answer: Answer, order: Misbehaviour | None) -> None:
        owner, body = self.server.owner, answer.body
        if order and order.kind == "garble":
            body = body[: len(body) // 2]
        self.send_response(answer.status, HTTPStatus(answer.status).phrase)
        if owner.compresses and len(body) > 1_000 and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            answer.headers["Content-Encoding"] = "gzip"
        if self.path.startswith("/services/data/"):
            answer.headers["Sforce-Limit-Info"] = f"api-usage={owner.org.used}/{owner.org.daily_limit}"
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if order and order.kind == "truncate":
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
            return
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
