"""One session with Snowflake, and its errors in words of ours.

It is the official connector's and not dagster-snowflake's resource, whose import alone takes longer than most loads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
import snowflake.connector
from snowflake.connector import errors
from snowflake.connector.cursor import ResultMetadata, SnowflakeCursor
from snowflake.connector.errorcode import ER_IDP_CONNECTION_ERROR

from data_platform.connectors.base import CredentialsRefused, ReadAgain, SourceError
from data_platform.connectors.snowflake.login import reaching, way_of
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

# Rows in one batch, and so what a killed load may read again beside the rows of one commit.
BATCH_ROWS = 25_000
# The numbers that Snowflake gives to all that is wrong with a login, a session or its rights.
_LOGINS: Final = range(390_000, 400_000)
_SESSION_GONE: Final = frozenset({390_104, 390_110, 390_111, 390_112, 390_114})


class Session:
    """A session in UTC for one table, and tagged with it; it begins with the first question."""

    def __init__(self, settings: Settings, table: SourceTable) -> None:
        self._settings = settings
        self._database, self._schema = _place(table)
        self._tag = f"data_platform bronze/{table.system}/{table.name}"
        self._connection: snowflake.connector.SnowflakeConnection | None = None

    def ask(self, question: str) -> list[Any]:
        with self._explained(), self._cursor() as cursor:
            return list(cursor.execute(question).fetchall())  # type: ignore[union-attr]

    def describe(self, question: str) -> list[ResultMetadata]:
        """The columns that an answer would have."""
        with self._explained(), self._cursor() as cursor:
            return cursor.describe(question)

    def stream(self, question: str) -> Iterator[pa.RecordBatch]:
        """The rows of a large answer, fetched piece by piece."""
        with self._explained(), self._cursor() as cursor:
            cursor.execute(question)
            # In microseconds, since in nanoseconds a date of the year 9999 comes out as one in the past.
            for piece in cursor.fetch_arrow_batches(force_microsecond_precision=True):
                yield from piece.to_batches(max_chunksize=BATCH_ROWS)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close(retry=False)
            self._connection = None

    def _cursor(self) -> SnowflakeCursor:
        if self._connection is None:
            self._connection = snowflake.connector.connect(**self._arguments())
        return self._connection.cursor()

    def _arguments(self) -> dict[str, Any]:
        return {
            **reaching(self._settings),
            "warehouse": self._settings.snowflake_warehouse,
            "role": self._settings.snowflake_role,
            "database": self._database,
            "schema": self._schema,
            # Money through a float is not the money that was there.
            "arrow_number_to_decimal": True,
            "session_parameters": {"QUERY_TAG": self._tag, "TIMEZONE": "UTC"},
        }

    @property
    def _where(self) -> str:
        return self._settings.snowflake_host or f"account {self._settings.snowflake_account}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The connector's errors as ours; its words quote the question, and so they stay here."""
        try:
            yield
        except errors.Error as error:
            raise self._ours(error) from None

    def _ours(self, error: errors.Error) -> SourceError:
        number = error.errno or 0
        if number in _SESSION_GONE or (self._connection and not isinstance(error, errors.ProgrammingError)):
            self._connection = None
            return ReadAgain(
                f"Snowflake ({self._where}) ended the session (error {number}). See whether it is reachable and well; "
                "the position stands"
            )
        if number in _LOGINS or number == ER_IDP_CONNECTION_ERROR:
            return CredentialsRefused(
                f"Snowflake ({self._where}) refused the login (error {number}). Check {way_of(self._settings)}, and "
                f"that the user has the role SNOWFLAKE_ROLE names ({self._settings.snowflake_role or 'its default'})"
            )
        if isinstance(error, errors.ProgrammingError):
            return SourceError(
                f"Snowflake ({self._where}) refused a question (error {number}). Check that the table is there, "
                f"that the role may read it, and that it may use the warehouse {self._settings.snowflake_warehouse}"
            )
        return SourceError(
            f"Snowflake ({self._where}) could not be reached within {self._settings.database_login_timeout} s "
            f"(error {number}). Check SNOWFLAKE_ACCOUNT (or SNOWFLAKE_HOST and SNOWFLAKE_PORT) and the network, then "
            "run again; the position stands"
        )


def _place(table: SourceTable) -> tuple[str, str]:
    match table.reads.split("."):
        case [database, schema, _]:
            return database, schema
    raise SourceError(
        f"{table.system}.{table.name} reads {table.reads!r}, which names no table of Snowflake's whole; "
        "declare reads='DATABASE.SCHEMA.TABLE'"
    )
