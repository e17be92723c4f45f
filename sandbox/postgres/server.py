"""A private PostgreSQL cluster: made in two seconds, thrown away at the end. `with PostgresServer() as server: …`.

It is the real server, set to write logical WAL, and careless of power cuts, which no test makes.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

import psycopg2

from sandbox.children import end_leftover, free_port

STARTS_WITHIN = 60.0
DATABASE = "shop"
ROLE = "platform"

OPTIONS = {
    "wal_level": "logical",
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
    "shared_buffers": "256MB",
    "timezone": "Asia/Kolkata",
    "log_min_messages": "warning",
}


def end_leftover_in(folder: Path) -> None:
    """Ends the server that a killed sandbox left at work on a folder; told so, its own children end before it does."""
    end_leftover(folder / "data" / "postmaster.pid", folder, signal.SIGQUIT)


class PostgresServer:
    """A cluster with one database, on a free port of this machine unless one is named.

    Its clock is set to a zone far from UTC, so that nobody takes its local time for UTC unnoticed.
    """

    def __init__(self, *, folder: Path | None = None, port: int = 0, password: str | None = None) -> None:
        self.port = free_port(port)
        self.password = password or token_hex(8)
        self._programs = _programs()
        self._account = _account()
        self._keeps_folder = folder is not None
        # Not in the caller's own folders: the account that runs the server may not look into them.
        self.folder = folder or Path(mkdtemp(prefix="postgres-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def settings(self) -> dict[str, str]:
        """The platform's settings for this database, by their names in the environment."""
        return {"POSTGRES_DSN": self.dsn}

    def start(self) -> "PostgresServer":
        is_new = not (self.folder / "data").exists()
        if is_new:
            self._make_cluster()
        self._run()
        if is_new:
            self.create_database(DATABASE)
        return self

    def stop(self) -> None:
        self._end(signal.SIGINT)
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self, *, crashed: bool = False) -> None:
        """Cuts every connection and comes back on the same port; a crash leaves the WAL to be recovered."""
        self._end(signal.SIGQUIT if crashed else signal.SIGINT)
        self._run()

    def connect(self, database: str = DATABASE) -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=ROLE, password=self.password, dbname=database
        )

    def create_database(self, name: str) -> None:
        connection = self.connect("postgres")
        connection.autocommit = True
        connection.cursor().execute(f"create database {name}")
        connection.close()

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs one statement in a transaction of its own; returns its rows, if it has any."""
        connection = self.connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def __enter__(self) -> "PostgresServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_cluster(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        for path in (self.folder, password_file):
            if self._account:
                shutil.chown(path, self._account)
        self._call("initdb", "-D", str(self.folder / "data"), "--no-sync", "-U", ROLE, "-A", "scram-sha-256",
                   "-E", "UTF8", "--locale=C", f"--pwfile={password_file}")  # fmt: skip
        password_file.unlink()
        config = "".join(f"{name} = '{value}'\n" for name, value in OPTIONS.items())
        config += f"unix_socket_directories = '{self.folder}'\n"
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(config)

    def _run(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                user=self._account, group=self._account, extra_groups=[] if self._account else None,
            )  # fmt: skip
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(psycopg2.OperationalError):
                self.connect("postgres").close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start on port {self.port}:\n{log.read_text()[-2000:]}")

    def _end(self, how: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(STARTS_WITHIN)

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603
            [str(self._programs / program), *arguments], capture_output=True, text=True, check=False, cwd="/",
            user=self._account, group=self._account, extra_groups=[] if self._account else None,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr[-2000:]}")


def _programs() -> Path:
    """The folder of the newest server that is installed."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    found = installed[0] if installed else shutil.which("initdb")
    if not found:
        raise RuntimeError("PostgreSQL's server is not installed; install the package `postgresql`")
    return Path(found).parent


def _account() -> str | None:
    """PostgreSQL refuses to run as root; its package made an account for it."""
    return "postgres" if os.geteuid() == 0 else None
