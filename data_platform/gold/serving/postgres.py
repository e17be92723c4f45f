"""PostgreSQL as a target: rows go by COPY, in PostgreSQL's binary form, into a staging table of the transaction."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from data_platform.gold.serving.columns import ColumnTypes
from data_platform.gold.serving.session import SqlSession
from data_platform.gold.serving.statements import STAGED, Dialect
from data_platform.gold.serving.target import TargetError, TargetUnreachable, Work, refused
from data_platform.settings import Settings

DIALECT = Dialect(
    columns=ColumnTypes(
        "PostgreSQL",
        types={
            "string": "text",
            "json": "text",
            "boolean": "boolean",
            "bigint": "bigint",
            "double": "double precision",
            "decimal": "numeric({precision}, {scale})",
            "date": "date",
            "timestamp": "timestamp with time zone",
            "binary": "bytea",
        },
        shown={
            "string": ("text", "character varying"),
            "json": ("text", "character varying"),
            "boolean": ("boolean",),
            "bigint": ("bigint",),
            "double": ("double precision",),
            "decimal": ("numeric",),
            "date": ("date",),
            "timestamp": ("timestamp with time zone",),
            "binary": ("bytea",),
        },
    ),
    # Others may read on, and two loads may not pass each other.
    lock="lock table {positions} in share row exclusive mode",
    after_staging="on commit drop",
)
# The driver names it in bytes, whatever its types say.
_PRIMARY = ("PG_DIAG_MESSAGE_PRIMARY", b"PG_DIAG_MESSAGE_PRIMARY")
_REFUSED = re.compile(r"password|no pg_hba.conf entry|authentication|role .* does not exist")


class Postgres:
    """A database that SERVED_POSTGRES_DSN names. Opens no connection before a session."""

    name = "postgres"

    def __init__(self, settings: Settings) -> None:
        if settings.served_postgres_dsn is None:
            raise TargetError("PostgreSQL can't be loaded: SERVED_POSTGRES_DSN is not set")
        try:
            given = parse_dsn(settings.served_postgres_dsn.get_secret_value())
        except psycopg2.ProgrammingError:
            raise TargetError(
                "PostgreSQL can't be loaded: SERVED_POSTGRES_DSN is no connection string. "
                "Write postgresql://user:password@host:port/database"
            ) from None
        self.place = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        # Whoever holds a lock on the table is waited for, and not for ever.
        waits = f"{given.pop('options', '')} -c lock_timeout={settings.database_network_timeout}s".strip()
        usual = {
            "connect_timeout": settings.database_login_timeout,
            "application_name": "data_platform_served",
        }
        self._dsn = make_dsn(**{**usual, **given}, options=waits)

    @contextmanager
    def session(self) -> Iterator["PostgresSession"]:
        with self.explained():
            connection = adbc_driver_postgresql.dbapi.connect(self._dsn, autocommit=True)
        try:
            yield PostgresSession(self, connection)
        finally:
            connection.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """The driver's errors in words that name the database and quote no value."""
        try:
            yield
        except adbc_driver_manager.Error as error:
            raise self._said(error) from None

    def _said(self, error: adbc_driver_manager.Error) -> TargetError:
        # Only the first of what the server says; the rest quotes rows and statements.
        primary = next((value for name, value in error.details or () if name in _PRIMARY), None)
        if primary:
            words = primary.decode(errors="replace") if isinstance(primary, bytes) else str(primary)
            return refused(f"PostgreSQL at {self.place}", words, error.sqlstate or "no code")
        words = str(error)
        if "FATAL" in words and _REFUSED.search(words):
            return TargetError(
                f"PostgreSQL at {self.place} refuses the user or password of SERVED_POSTGRES_DSN; correct the setting"
            )
        if "FATAL" in words and "does not exist" in words:
            return TargetError(
                f"PostgreSQL at {self.place} has no database of that name; correct it in SERVED_POSTGRES_DSN"
            )
        return TargetUnreachable(
            f"PostgreSQL at {self.place} could not be reached, or broke off; see that the host and port in "
            "SERVED_POSTGRES_DSN are right and that the server is up, then run again"
        )


class PostgresSession(SqlSession[Postgres]):
    """A connection to it."""

    dialect = DIALECT

    @contextmanager
    def prepared(self, work: Work) -> Iterator[Callable[[], None]]:
        """Rows are read as they are copied, so that there is nothing to do before."""
        yield lambda: self._copy(work)

    def _copy(self, work: Work) -> None:
        # By batch, so that what goes wrong in reading silver is not said in the driver's words.
        for batch in work.rows:
            with self._target.explained(), self._connection.cursor() as cursor:
                cursor.adbc_ingest(STAGED, batch, mode="append", temporary=True)
        self.execute(f"analyze {STAGED}")
