"""Connections to the database: what every session is told, and what is said when it can't be had or breaks off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import psycopg2
import psycopg2.extras
import pyarrow as pa
from adbc_driver_postgresql import StatementOptions
from psycopg2.extensions import make_dsn, parse_dsn

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.settings import Settings

CONNECTS_WITHIN = 10
# Bytes of an Arrow batch: large enough to be quick, small enough for several at once.
BATCH_BYTES = 8_000_000
# Values are written the same way wherever they are read: in a query, and in the WAL's changes.
SPELLING = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex -c extra_float_digits=1"
)
# Nothing else finds out that a server, or the network to it, went without a word: the drivers wait as long as it takes.
KEEPALIVE = {"keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 8}
REFUSED = ("password", "no pg_hba.conf entry", "role", "authentication")


class Database:
    """One database. Opens no connection before it is asked something."""

    def __init__(self, settings: Settings) -> None:
        if settings.postgres_dsn is None:
            raise SourceError(
                "PostgreSQL can't be read: POSTGRES_DSN is not set, and no sandbox is up. Set it to "
                "postgresql://user:password@host:port/database, or start the sandbox with `data-platform sandbox up`"
            )
        try:
            given = parse_dsn(settings.postgres_dsn.get_secret_value())
        except psycopg2.ProgrammingError:
            raise SourceError(
                "PostgreSQL can't be read: POSTGRES_DSN is no connection string. "
                "Write postgresql://user:password@host:port/database"
            ) from None
        self._dsn = make_dsn(
            **{"connect_timeout": CONNECTS_WITHIN, "application_name": "data_platform", **KEEPALIVE, **given},
            options=f"{given.pop('options', '')} {SPELLING}".strip(),
        )
        self.database = str(given.get("dbname", ""))
        self.slot_prefix = settings.postgres_slot_prefix
        self.name = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A session in which every statement stands alone."""
        with self.explained():
            connection = psycopg2.connect(self._dsn)
            connection.autocommit = True
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def replication(self) -> Iterator[Any]:
        """A session that speaks the replication protocol."""
        with self.explained():
            connection = psycopg2.connect(
                self._dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection
            )
            try:
                yield connection.cursor()
            finally:
                connection.close()

    @contextmanager
    def columnar(self) -> Iterator["Columnar"]:
        """A session whose answers are Arrow batches, in one transaction that sees one state."""
        with self.explained():
            session = Columnar(adbc_driver_postgresql.dbapi.connect(self._dsn, autocommit=True))
            try:
                yield session
            finally:
                session.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of the drivers, in words that name the database and the setting and quote no value."""
        try:
            yield
        except (psycopg2.Error, adbc_driver_manager.Error) as error:
            raise self._said(error) from None

    def _said(self, error: Exception) -> SourceError:
        # Only the first line: the others quote rows.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        words = lines[0]
        if getattr(error, "pgcode", None) is None and "FATAL" in words and any(w in words for w in REFUSED):
            return CredentialsRefused(
                f"PostgreSQL at {self.name} refuses the user or password of POSTGRES_DSN; correct the setting"
            )
        if "FATAL" not in words and ("connection to server" in words or "could not translate" in words):
            return SourceError(
                f"PostgreSQL at {self.name} could not be reached; see that the host and port in POSTGRES_DSN are "
                "right and that the server is up, then run again; the position stands"
            )
        if "FATAL" in words and "does not exist" in words:
            return SourceError(
                f"PostgreSQL at {self.name} has no database of that name; correct it in POSTGRES_DSN"
            )
        return SourceError(
            f"PostgreSQL at {self.name} broke off: {words}. See whether it is well, then run again; "
            "the position stands"
        )


class Columnar:
    """Asks a question and hands over its answer as it comes.

    An answer may be read in a thread ahead of its reader, and a load that breaks off closes the session beside it:
    the driver would read on in memory that is gone, so both take turns here.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._in_use = Lock()
        self._is_closed = False

    def close(self) -> None:
        """Whoever still reads an answer finds it at its end, with an error."""
        if not self._in_use.acquire(blocking=False):
            self._connection.adbc_cancel()
            self._in_use.acquire()
        self._is_closed = True
        self._connection.close()
        self._in_use.release()

    def begin(self, snapshot: str | None = None) -> None:
        """From here on see one state: that of an exported snapshot, or of now."""
        with self._connection.cursor() as cursor:
            cursor.execute("begin isolation level repeatable read read only")
            if snapshot:
                cursor.execute(f"set transaction snapshot '{snapshot}'")

    def end(self) -> None:
        """See what is there by then again, and hold nothing."""
        with self._connection.cursor() as cursor:
            cursor.execute("commit")

    def row(self, question: str) -> tuple[Any, ...]:
        """The only row of the answer."""
        with self._connection.cursor() as cursor:
            cursor.execute(question)
            return tuple(column[0].as_py() for column in cursor.fetch_arrow_table().columns)

    def batches(self, question: str) -> Iterator[pa.RecordBatch]:
        cursor = self._connection.cursor()
        try:
            cursor.adbc_statement.set_options(
                **{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
            )
            cursor.execute(question)
            answer = cursor.fetch_record_batch()
            while (batch := self._next(answer)) is not None:
                yield batch
        finally:
            with self._in_use:
                cursor.close()

    def _next(self, answer: pa.RecordBatchReader) -> pa.RecordBatch | None:
        with self._in_use:
            if self._is_closed:
                raise _broken_off("the session was closed")
            try:
                return answer.read_next_batch()
            except StopIteration:
                return None
            except (OSError, pa.ArrowException) as error:
                # In the middle of an answer it is Arrow that speaks for the driver.
                raise _broken_off(str(error)) from None


def _broken_off(words: str) -> adbc_driver_manager.OperationalError:
    return adbc_driver_manager.OperationalError(words, status_code=adbc_driver_manager.AdbcStatusCode.IO)


def rows_of(connection: Any, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of the answer; none where the statement gives none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def literal(value: Any) -> str:
    """A value as SQL text; what type it is, the database finds out by what it is compared with."""
    return "'" + str(value).replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
