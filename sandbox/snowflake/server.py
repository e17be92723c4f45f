"""The stand-in for a Snowflake account, in a process of its own. `with SnowflakeServer() as server: …`."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import snowflake.connector
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.children import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = CHECKOUT / ".venv-snowflake" / "bin" / "python"
STARTS_WITHIN = 60.0
LOADS_WITHIN = 600.0
USERNAME = "ETL_SERVICE"
DATABASE = "RAW_DATA"


class SnowflakeServer:
    """An account with one user, on a free port of this machine unless one is named."""

    def __init__(self, *, folder: Path | None = None, port: int = 0, password: str | None = None) -> None:
        self.port = free_port(port)
        self.password = password or token_hex(8)
        self.token = token_hex(16)
        self.client = ("etl-client", token_hex(8))
        self._key = rsa.generate_private_key(65537, 2048)
        self._own_folder = TemporaryDirectory(prefix="snowflake-") if folder is None else None
        self.folder = folder or Path(self._own_folder.name if self._own_folder else "")
        self._log = self.folder / "server.log"
        self._process: subprocess.Popen[str] | None = None

    @property
    def private_key(self) -> str:
        """The user's key, in PEM."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth/token-request"

    def settings(self) -> dict[str, str]:
        """The platform's settings for this account, by their names in the environment."""
        return {"SNOWFLAKE_PASSWORD": self.password, **self.settings_without_login()}

    def settings_without_login(self) -> dict[str, str]:
        return {
            "SNOWFLAKE_ACCOUNT": "sandbox",
            "SNOWFLAKE_USERNAME": USERNAME,
            "SNOWFLAKE_ROLE": "ETL_READER",
            "SNOWFLAKE_HOST": "127.0.0.1",
            "SNOWFLAKE_PORT": str(self.port),
            "SNOWFLAKE_PROTOCOL": "http",
        }

    def start(self) -> "SnowflakeServer":
        if not PYTHON.exists():
            raise RuntimeError(f"there is no {PYTHON}; make it from sandbox/snowflake/requirements.in")
        self._run()
        return self

    def stop(self) -> None:
        self._end(signal.SIGKILL)
        if self._own_folder:
            self._own_folder.cleanup()

    def restart(self) -> None:
        """Every session is forgotten; the port and the tables are as they were."""
        self._end(signal.SIGINT)
        self._run()

    def logins(self) -> list[dict[str, Any]]:
        """What each session said of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_sandbox/logins") as answer:
            said: list[dict[str, Any]] = json.load(answer)
        return said

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        connection = snowflake.connector.connect(
            account="sandbox", user=USERNAME, password=self.password, database=DATABASE, schema="PUBLIC",
            host="127.0.0.1", port=self.port, protocol="http", login_timeout=20, network_timeout=60,
        )  # fmt: skip
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Runs one statement; returns its rows."""
        with self.cursor() as cursor:
            return list(cursor.execute(statement, values or None).fetchall())

    def load(self, table: str, rows: pa.Table) -> None:
        """The rows into a table by the names of its columns, as a COPY from a stage would."""
        file = self.folder / f"{token_hex(4)}.parquet"
        pq.write_table(rows, file)
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_sandbox/load",
            data=json.dumps({"table": table, "file": str(file)}).encode(),
        )
        urllib.request.urlopen(asked, timeout=LOADS_WITHIN).close()  # noqa: S310 - our own server
        file.unlink()

    def end_sessions(self) -> None:
        """What a client that is gone had open is rolled back."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/_sandbox/end-sessions", data=b"")
        urllib.request.urlopen(asked, timeout=LOADS_WITHIN).close()  # noqa: S310 - our own server

    def __enter__(self) -> "SnowflakeServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        told = {
            "port": self.port,
            "parent": os.getpid(),
            "folder": str(self.folder),
            "username": USERNAME,
            "password": self.password,
            "token": self.token,
            "client_id": self.client[0],
            "client_secret": self.client[1],
            "public_key": public.decode(),
        }
        with self._log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [str(PYTHON), "-m", "sandbox.snowflake.serve"],
                cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True,
            )  # fmt: skip
        if self._process.stdin:
            json.dump(told, self._process.stdin)
            self._process.stdin.close()
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"fakesnow did not start; it wrote last:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.logins()
        except OSError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None
