"""One MySQL database: small questions by PyMySQL, rows in columns by ConnectorX, and errors in words of ours.

Every session is in UTC, so that moments mean the same wherever the server stands.
"""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

import connectorx
import pyarrow as pa
import pymysql
from pydantic import SecretStr

from data_platform.connectors.base import CredentialsRefused, ReadAgain, SourceError
from data_platform.connectors.http import FIRST_WAIT, LONGEST_WAIT
from data_platform.settings import Settings

log = logging.getLogger(__name__)

# Rows in one Arrow batch, and so what a killed load may read again beside the rows of one commit.
BATCH_ROWS = 25_000
IN_UTC: Final = "set time_zone = '+00:00'"
# ConnectorX waits for an answer as long as it takes, so the system has to find out that nobody is there any more.
KEEPALIVE: Final = {"tcp_keepalive_time_ms": "60000"}
_REFUSED: Final = frozenset({1044, 1045, 1698})
# The server shuts down, has too many connections, or can't be reached.
_PASSING: Final = frozenset({1040, 1053, 2002, 2003, 2006, 2013})


class Database:
    """The database that MYSQL_DSN names."""

    def __init__(self, settings: Settings) -> None:
        self._address = _address(settings.mysql_dsn)
        self._ca_bundle = _readable(settings.mysql_ca_bundle)
        self._retries = settings.http_retries
        self._login_timeout = settings.database_login_timeout
        self._network_timeout = settings.database_network_timeout

    @property
    def where(self) -> str:
        """The server, as an error may name it."""
        return f"{self._address.hostname}:{self._address.port or 3306}"

    @property
    def schema(self) -> str:
        return unquote(self._address.path.strip("/"))

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        """The answer to a small question; a server that is down for a moment is waited for."""
        for tried in range(self._retries + 1):
            try:
                connection = self._connect()
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(question, values or None)
                        return list(cursor.fetchall())
                finally:
                    connection.close()
            except pymysql.err.MySQLError as error:
                trouble = self._passing_trouble(error)
            if tried < self._retries:
                pause = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**tried))  # noqa: S311 - no secret
                log.info("MySQL at %s %s; asking again in %.1f s", self.where, trouble, pause)
                time.sleep(pause)
        raise SourceError(
            f"MySQL at {self.where} could not be read: it was asked {self._retries + 1} times, and the last time "
            f"it {trouble}. See whether MYSQL_DSN names the right host and port and the server is well, then run "
            "again; the position stands"
        )

    def stream(self, question: str) -> Iterator[pa.RecordBatch]:
        """The rows of a large answer, as they come; memory holds a few batches."""
        try:
            batches: Any = connectorx.read_sql(
                self._url,
                question,
                return_type="arrow_stream",
                batch_size=BATCH_ROWS,
                pre_execution_query=self._session,
            )
            # The last one is empty where the rows before it fill theirs.
            yield from (batch for batch in batches if batch.num_rows)
        except (GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # Its panics are no Exceptions. Its words can quote rows and the address, so they stay here.
            raise ReadAgain(
                f"MySQL at {self.where} stopped in the middle of an answer ({type(error).__name__}). See whether the "
                "server was restarted or ends long queries; the position stands"
            ) from None

    @property
    def _session(self) -> list[str]:
        """What a session with a large answer is told: how long it may wait for a lock, and for us."""
        limits = ("lock_wait_timeout", "net_write_timeout")
        return [IN_UTC, *(f"set {limit} = {self._network_timeout}" for limit in limits)]

    @property
    def _url(self) -> str:
        """The address as ConnectorX takes it."""
        trusted = {"ssl-mode": "verify_identity", "ssl-ca": str(self._ca_bundle)} if self._ca_bundle else {}
        return self._address._replace(query=urlencode(KEEPALIVE | trusted)).geturl()

    def _connect(self) -> "pymysql.Connection[Any]":
        address = self._address
        return pymysql.connect(
            host=address.hostname, port=address.port or 3306, database=self.schema,
            user=unquote(address.username or ""), password=unquote(address.password or ""),
            charset="utf8mb4", init_command=IN_UTC,
            ssl={"ca": str(self._ca_bundle)} if self._ca_bundle else None,
            connect_timeout=self._login_timeout, read_timeout=self._network_timeout,
        )  # fmt: skip

    def _passing_trouble(self, error: pymysql.err.MySQLError) -> str:
        """What went wrong, where asking again may help; what can't pass is raised, without the server's words."""
        code = error.args[0] if error.args else 0
        if code in _REFUSED:
            raise CredentialsRefused(
                f"MySQL at {self.where} refused user {unquote(self._address.username or '')!r} for database "
                f"{self.schema!r} (error {code}). Check the user and password in MYSQL_DSN, and that it may read there"
            ) from None
        if "CERTIFICATE" in str(error):
            raise SourceError(
                f"MySQL at {self.where} shows a certificate that MYSQL_CA_BUNDLE ({self._ca_bundle}) does not vouch "
                "for. Set it to the bundle of who signed it (for RDS: the region's), and name the host as signed"
            ) from None
        if code == pymysql.constants.ER.BAD_DB_ERROR:
            raise SourceError(
                f"MySQL at {self.where} has no database {self.schema!r}; correct the last part of MYSQL_DSN"
            ) from None
        if code not in _PASSING:
            raise SourceError(
                f"MySQL at {self.where} refused a question (error {code}). Check that the user of MYSQL_DSN may read "
                "the declared tables, and look the number up in MySQL's list of errors"
            ) from None
        return f"gave no answer (error {code})"


def _readable(ca_bundle: Path | None) -> Path | None:
    if ca_bundle is not None and not ca_bundle.is_file():
        raise SourceError(
            f"MySQL can't be asked: MYSQL_CA_BUNDLE names {ca_bundle}, which is no file; correct it"
        )
    return ca_bundle


def _address(dsn: SecretStr | None) -> SplitResult:
    if dsn is None:
        raise CredentialsRefused(
            "MySQL can't be asked: MYSQL_DSN is not set. Set it to mysql://user:password@host:port/database, "
            "or start the sandbox"
        )
    try:
        parts = urlsplit(dsn.get_secret_value())
        whole = parts.scheme == "mysql" and parts.hostname and parts.path.strip("/") and (parts.port or 3306)
    except ValueError:
        whole = False
    if not whole:
        raise SourceError(
            "MySQL can't be asked: MYSQL_DSN is not of the form mysql://user:password@host:port/database. "
            "Correct it, and URL-encode what is neither letter nor digit in its user and password"
        )
    return parts
