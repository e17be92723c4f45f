"""Snowflake as a target: rows are put into a stage of the session, and COPY INTO takes them into a staging table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import uuid4

import snowflake.connector
from snowflake.connector import errors

from data_platform.connectors.base import CredentialsRefused
from data_platform.connectors.snowflake.login import reaching, way_of
from data_platform.gold.serving.columns import ColumnTypes
from data_platform.gold.serving.files import parquet_files
from data_platform.gold.serving.session import SqlSession
from data_platform.gold.serving.statements import STAGED, Dialect
from data_platform.gold.serving.target import TargetError, TargetUnreachable, Work, refused
from data_platform.settings import Settings

_TEXT = "varchar"
# The numbers that Snowflake gives to all that is wrong with a login, a session or its rights.
_LOGINS: Final = range(390_000, 400_000)

DIALECT = Dialect(
    columns=ColumnTypes(
        "Snowflake",
        types={
            "string": _TEXT,
            "json": _TEXT,
            "boolean": "boolean",
            "bigint": "number(38, 0)",
            "double": "double",
            "decimal": "number({precision}, {scale})",
            "date": "date",
            "timestamp": "timestamp_tz",
            "binary": "binary",
        },
        shown={
            "string": ("TEXT",),
            "json": ("TEXT",),
            "boolean": ("BOOLEAN",),
            "bigint": ("NUMBER",),
            "double": ("FLOAT",),
            "decimal": ("NUMBER",),
            "date": ("DATE",),
            "timestamp": ("TIMESTAMP_TZ",),
            "binary": ("BINARY",),
        },
    ),
    # It has no LOCK TABLE; who changes a row first keeps the others waiting until the transaction ends.
    lock="update {positions} set loaded_at = current_timestamp() where table_name = {table}",
    after_table=lambda table: f"cluster by ({table.key[0]})",
    upper_case=True,
    making_commits=True,
    merges=True,
    # It would write them down and not hold them.
    keeps_keys_unique=False,
)


class Snowflake:
    """The database that SNOWFLAKE_TARGET_DATABASE names, in the account of SNOWFLAKE_*."""

    name = "snowflake"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.place = settings.snowflake_host or f"account {settings.snowflake_account}"

    @contextmanager
    def session(self) -> Iterator["SnowflakeSession"]:
        settings = self.settings
        with self.explained():
            connection = snowflake.connector.connect(
                **reaching(settings),
                database=settings.snowflake_target_database,
                schema="PUBLIC",
                role=settings.snowflake_target_role or settings.snowflake_role,
                warehouse=settings.snowflake_target_warehouse or settings.snowflake_warehouse,
                session_parameters={"QUERY_TAG": "data_platform loads", "TIMEZONE": "UTC"},
            )
        try:
            yield SnowflakeSession(self, connection)
        finally:
            with suppress(errors.Error):
                connection.close(retry=False)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """The connector's errors in words that name the account and quote no value."""
        try:
            yield
        except CredentialsRefused as error:
            raise TargetError(str(error)) from None
        except errors.Error as error:
            raise self._said(error) from None

    def _said(self, error: errors.Error) -> TargetError:
        number = error.errno or 0
        if number in _LOGINS:
            return TargetError(
                f"Snowflake ({self.place}) refused the login (error {number}); check {way_of(self.settings)}, and that "
                "the user has the role of SNOWFLAKE_TARGET_ROLE"
            )
        if isinstance(error, errors.ProgrammingError):
            # Its words quote the statement and its values; its number says enough to look it up.
            return refused(f"Snowflake ({self.place})", f"error {number}", error.sqlstate or "no code")
        return TargetUnreachable(
            f"Snowflake ({self.place}) could not be reached, or broke off (error {number}); check SNOWFLAKE_ACCOUNT "
            "(or SNOWFLAKE_HOST and SNOWFLAKE_PORT) and the network, then run again"
        )


class SnowflakeSession(SqlSession[Snowflake]):
    """A connection to it."""

    dialect = DIALECT

    @contextmanager
    def prepared(self, work: Work) -> Iterator[Callable[[], None]]:
        """The rows' way into the stage is before the transaction; it goes with the session, killed or ended."""
        # With its schema: where a load makes another, that becomes the session's own.
        stage = f"public.{STAGED}_{uuid4().hex}"
        self.execute(f"create temporary stage {stage}")
        files = 0
        for file in parquet_files(work.rows):
            self.execute(f"put 'file://{file}' @{stage} auto_compress = false")
            files += 1
        yield lambda: self._copy(stage, files)

    def _copy(self, stage: str, files: int) -> None:
        if files:
            self.execute(
                f"copy into {STAGED} from @{stage} file_format = (type = parquet use_logical_type = true) "
                "match_by_column_name = case_insensitive"
            )
