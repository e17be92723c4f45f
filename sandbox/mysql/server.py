"""A private MariaDB: made in a second, thrown away at the end. `with MySQLServer() as server: …`.

It is the real server, which speaks MySQL's protocol, and careless of power cuts, which no test makes.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from sandbox.certificate import certificate_in
from sandbox.children import end_leftover, free_port

STARTS_WITHIN = 60.0
DATABASE = "app"
USER = "platform"
SHARED = Path("/usr/share/mysql")

OPTIONS = (
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--innodb-log-file-size=64M",
    # A commit survives the process, and not the machine.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=256M",
    "--skip-log-bin",
    "--skip-name-resolve",
    # An application that is older than strict mode: it has written dates of zeros.
    "--sql-mode=NO_ENGINE_SUBSTITUTION",
    # Far from UTC, so that nobody takes the server's local time for UTC unnoticed.
    "--default-time-zone=+05:30",
)


def end_leftover_in(folder: Path) -> None:
    """Ends the server that a killed sandbox left at work on a folder."""
    end_leftover(folder / "pid", folder)


class MySQLServer:
    """A server with one database, on a free port of this machine unless one is named."""

    def __init__(self, *, folder: Path | None = None, port: int = 0, password: str | None = None) -> None:
        self.port = free_port(port)
        self.password = password or token_hex(8)
        self._program = _program()
        self._keeps_folder = folder is not None
        self.folder = folder or Path(mkdtemp(prefix="mysql-"))
        self._data = self.folder / "data"
        self._log = self.folder / "server.log"
        self._certificate = certificate_in(self.folder)
        self.ca_file = self._certificate.authority
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return f"mysql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    def settings(self) -> dict[str, str]:
        """The platform's settings for this database, by their names in the environment."""
        return {"MYSQL_DSN": self.dsn}

    def start(self) -> "MySQLServer":
        if not self._data.exists():
            self._make()
        self._run()
        return self

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """Falls over with every connection, and comes back on the same port."""
        self._end(signal.SIGKILL)
        self._run()

    def connect(self) -> "pymysql.Connection[Cursor]":
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, database=DATABASE,
            charset="utf8mb4", init_command="set time_zone = '+00:00'", local_infile=True,
        )  # fmt: skip

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor whose changes are seen by others at the end, or never."""
        connection = self.connect()
        try:
            yield connection.cursor()
            connection.commit()
        finally:
            connection.close()

    def execute(self, statement: str, *values: Any) -> tuple[tuple[Any, ...], ...]:
        """Runs one statement in a transaction of its own; returns its rows, if it has any."""
        with self.transaction() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    def __enter__(self) -> "MySQLServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make(self) -> None:
        """The system's tables by its own scripts, which MariaDB's installer runs just so."""
        self._data.mkdir(parents=True)
        scripts = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
        statements = [
            "create database mysql;\nuse mysql;\n",
            *((SHARED / script).read_text() for script in scripts),
            f"create database {DATABASE} character set utf8mb4;\n",
            "flush privileges;\n",
            f"create user '{USER}'@'127.0.0.1' identified by '{self.password}';\n",
            f"grant all on {DATABASE}.* to '{USER}'@'127.0.0.1';\n",
            # To ask TLS of itself, as a server does that lets nobody in without.
            f"grant create user on *.* to '{USER}'@'127.0.0.1';\n",
        ]
        made = subprocess.run(  # noqa: S603
            [*self._command(), "--bootstrap"],
            input="".join(statements), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"MariaDB could not make its tables; it wrote last:\n{made.stderr[-2000:]}")

    def _command(self) -> list[str]:
        signed = self._certificate
        tls = [f"--ssl-ca={signed.authority}", f"--ssl-cert={signed.server}", f"--ssl-key={signed.server}"]
        named = [*OPTIONS, *tls, f"--datadir={self._data}", f"--lc-messages-dir={SHARED}"]
        # It won't run as root unless it is told to.
        return [self._program, *named, *(["--user=root"] if os.geteuid() == 0 else [])]

    def _run(self) -> None:
        places = (
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
        )
        with self._log.open("a") as log:
            self._process = subprocess.Popen([*self._command(), *places], stdout=log, stderr=log)  # noqa: S603
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB did not start; it wrote last:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def _program() -> str:
    found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("there is no mariadbd on this machine; apt-get install mariadb-server-core")
    return found
