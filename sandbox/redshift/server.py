"""The stand-in for a Redshift cluster. `with RedshiftServer(postgres, s3) as server: …`.

A proxy before a PostgreSQL of `sandbox.postgres`: it takes redshift_connector's login, translates statements
(`dialect`), and feeds COPY with the Parquet files that it finds in S3. Transactions, locks and errors are PostgreSQL's.

It shows that the statements run, in which order, and what data comes of them. It can't show what Redshift's planner,
distribution, isolation and speed make of it, what a role may read, which Parquet types COPY takes for which column,
nor a length that is counted in bytes.
"""

import io
import socket
import socketserver
import struct
import threading
from collections import deque
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.postgres.server import DATABASE, ROLE, PostgresServer
from sandbox.redshift.catalogue import STATEMENTS
from sandbox.redshift.dialect import Refused, translated

_CANCEL, _TLS, _GSS = 80877102, 80877103, 80877104
_PROTOCOL = 196608
# Of the startup parameters, those that PostgreSQL knows.
_KNOWN = (b"user", b"database", b"application_name", b"client_encoding")
# What Redshift has always said of itself.
_VERSION = b"server_version\x008.0.2\x00"
# The login that PostgreSQL asks for.
_SCRAM = struct.pack("!i", 10)
# Seconds of silence after which a conversation is over.
PATIENCE = 300.0


class RedshiftServer:
    """A cluster with PostgreSQL's one database and user, on a free port of this machine unless one is named."""

    def __init__(self, postgres: PostgresServer, s3: Any, *, port: int = 0) -> None:
        self.postgres = postgres
        self.s3 = s3
        self.statements: list[str] = []
        self._server = _Listener(("127.0.0.1", port), self)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def settings(self) -> dict[str, str]:
        """The platform's settings for this cluster, by their names, but for where files are staged."""
        return {
            "REDSHIFT_HOST": "127.0.0.1",
            "REDSHIFT_PORT": str(self.port),
            "REDSHIFT_DATABASE": DATABASE,
            "REDSHIFT_USERNAME": ROLE,
            "REDSHIFT_PASSWORD": self.postgres.password,
        }

    def start(self) -> "RedshiftServer":
        self.postgres.execute(STATEMENTS)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "RedshiftServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], cluster: RedshiftServer) -> None:
        self.cluster = cluster
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    """One client's connection."""

    server: _Listener

    def handle(self) -> None:
        with (
            suppress(OSError, EOFError),
            socket.create_connection(("127.0.0.1", self.server.cluster.postgres.port)) as database,
        ):
            for side in (self.request, database):
                # Small messages wait for nothing; and nobody waits for ever for a stand-in.
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                side.settimeout(PATIENCE)
            if self._log_in(database):
                _Conversation(self.server.cluster, self.request, database).hold()

    def _log_in(self, database: socket.socket) -> bool:
        """Hands the login on without what PostgreSQL does not know; False where there is nothing to follow."""
        while True:
            size, code = struct.unpack("!ii", _exactly(self.request, 8))
            rest = _exactly(self.request, size - 8)
            if code not in (_TLS, _GSS):
                break
            self.request.sendall(b"N")
        if code == _CANCEL:
            database.sendall(struct.pack("!ii", size, code) + rest)
            return False
        words = rest.split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        told = b"".join(name + b"\0" + given[name] + b"\0" for name in _KNOWN if name in given)
        # What Redshift's sessions begin with.
        told += b"TimeZone\0UTC\0\0"
        database.sendall(struct.pack("!ii", len(told) + 8, _PROTOCOL) + told)
        return True


class _Conversation:
    """What client and database say to each other, message by message, each side in a thread of its own."""

    def __init__(self, cluster: RedshiftServer, client: socket.socket, database: socket.socket) -> None:
        self._cluster = cluster
        self._client = client
        self._database = database
        self._sending = threading.Lock()
        # Prepared statements that copy, and the copies that were asked for: from where, and whether a Sync is owed.
        self._copying: dict[bytes, str] = {}
        self._asked: deque[tuple[str, bool]] = deque()
        self._keeps_sync = False

    def hold(self) -> None:
        answers = threading.Thread(target=self._pass_answers, daemon=True)
        answers.start()
        with suppress(OSError, EOFError):
            while True:
                self._pass_question(*_message(self._client))
        with suppress(OSError):
            self._database.shutdown(socket.SHUT_RDWR)
        answers.join()

    def _pass_question(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            body = self._translated(body.rstrip(b"\0"), None) + b"\0"
        elif kind == b"P":
            name, text, rest = body.split(b"\0", 2)
            body = b"\0".join((name, self._translated(text, name), rest))
        elif kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            if name in self._copying:
                self._asked.append((self._copying[name], True))
                self._keeps_sync = True
        elif kind == b"S" and self._keeps_sync:
            # It is sent when the copy is done: while rows are awaited, PostgreSQL passes over it.
            self._keeps_sync = False
            return
        self._tell(kind, body)

    def _translated(self, text: bytes, name: bytes | None) -> bytes:
        self._cluster.statements.append(text.decode())
        try:
            statement = translated(text.decode())
        except Refused as reason:
            return (
                f"do $$ begin raise exception using errcode = '42601', message = '{reason}'; end $$".encode()
            )
        if name is not None:
            self._copying.pop(name, None)
        if statement.copies and name is None:
            self._asked.append((statement.copies, False))
        elif statement.copies and name is not None:
            self._copying[name] = statement.copies
        return statement.text.encode()

    def _pass_answers(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                kind, body = _message(self._database)
                if kind == b"G":
                    self._feed(*self._asked.popleft())
                    continue
                if kind == b"E" and self._asked:
                    _, owes_sync = self._asked.popleft()
                    self._end_of_copy(owes_sync)
                if kind == b"S" and body.startswith(b"server_version\0"):
                    body = _VERSION
                if kind == b"R" and body.startswith(_SCRAM):
                    # redshift_connector takes the end of the list of mechanisms for one more.
                    body = body.removesuffix(b"\0")
                self._client.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _feed(self, uri: str, owes_sync: bool) -> None:
        try:
            for rows in _rows_below(self._cluster.s3, uri):
                self._tell(b"d", rows)
            self._tell(b"c", b"")
        except (ClientError, BotoCoreError, FileNotFoundError, pa.ArrowException) as reason:
            self._tell(b"f", str(reason).encode() + b"\0")
        self._end_of_copy(owes_sync)

    def _end_of_copy(self, owes_sync: bool) -> None:
        if owes_sync:
            self._tell(b"S", b"")

    def _tell(self, kind: bytes, body: bytes) -> None:
        with self._sending:
            self._database.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def _rows_below(s3: Any, uri: str) -> Any:
    """The rows of every Parquet file below the prefix, as lines of CSV."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    if not keys:
        raise FileNotFoundError(f"The specified S3 prefix '{prefix}' does not exist")
    for key in keys:
        held = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        file = pq.ParquetFile(pa.BufferReader(held), coerce_int96_timestamp_unit="us")
        for batch in file.iter_batches():
            lines = io.BytesIO()
            pa_csv.write_csv(
                batch, lines, pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
            )
            yield lines.getvalue()


def _message(side: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(side, 5)
    return head[:1], _exactly(side, struct.unpack("!i", head[1:])[0] - 4)


def _exactly(side: socket.socket, size: int) -> bytes:
    held = bytearray()
    while len(held) < size:
        more = side.recv(size - len(held))
        if not more:
            raise EOFError
        held += more
    return bytes(held)
