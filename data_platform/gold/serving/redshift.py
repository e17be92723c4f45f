"""Redshift as a target: rows are put into S3 as Parquet, and COPY takes them from there into a staging table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import redshift_connector
from redshift_connector.error import Error as DriverError

from data_platform.connectors.aws import client, explained
from data_platform.connectors.base import SourceError
from data_platform.gold.serving.columns import ColumnTypes, Staged
from data_platform.gold.serving.declared import Served
from data_platform.gold.serving.files import parquet_files
from data_platform.gold.serving.redshift_login import is_this_machine
from data_platform.gold.serving.session import SqlSession
from data_platform.gold.serving.statements import STAGED, Dialect
from data_platform.gold.serving.target import TargetError, TargetUnreachable, Work, refused
from data_platform.settings import Settings

# The most that a VARCHAR holds.
TEXT_BYTES = 65_535
_TEXT = f"varchar({TEXT_BYTES})"


def _sorted_by(table: Served) -> str:
    """By what is looked for: the key, or where dbt takes what changed, the batch."""
    return ", ".join(f'"{name}"' for name in (("_batch",) if table.keeps_deleted else table.key))


DIALECT = Dialect(
    columns=ColumnTypes(
        "Redshift",
        types={
            "string": _TEXT,
            "json": _TEXT,
            "boolean": "boolean",
            "bigint": "bigint",
            "double": "double precision",
            "decimal": "decimal({precision}, {scale})",
            "date": "date",
            "timestamp": "timestamp with time zone",
        },
        shown={
            "string": ("character varying",),
            "json": ("character varying",),
            "boolean": ("boolean",),
            "bigint": ("bigint",),
            "double": ("double precision",),
            "decimal": ("numeric",),
            "date": ("date",),
            "timestamp": ("timestamp with time zone",),
        },
        # COPY takes no zone from Parquet; its moments are in UTC.
        staged={"timestamp": Staged("timestamp", "({value} at time zone 'UTC')")},
    ),
    # First in the transaction, since a transaction sees what was committed before its first question.
    lock="lock table {positions}",
    after_table=lambda table: f'distkey ("{table.key[0]}") compound sortkey ({_sorted_by(table)})',
)
_NEEDED = ("redshift_database", "redshift_username", "redshift_password", "redshift_staging_uri")


class Redshift:
    """The cluster that REDSHIFT_HOST names, and the place in S3 by which it is loaded."""

    name = "redshift"

    def __init__(self, settings: Settings) -> None:
        missing = [name.upper() for name in _NEEDED if not getattr(settings, name)]
        if missing:
            raise TargetError(f"Redshift can't be loaded: {', '.join(missing)} not set, beside REDSHIFT_HOST")
        self.staging = (settings.redshift_staging_uri or "").rstrip("/")
        if not self.staging.startswith("s3://"):
            raise TargetError("Redshift can't be loaded: REDSHIFT_STAGING_URI is no s3://bucket/prefix")
        self.settings = settings
        self.place = f"{settings.redshift_host}:{settings.redshift_port}/{settings.redshift_database}"

    @contextmanager
    def session(self) -> Iterator["RedshiftSession"]:
        connection = self._connect()
        try:
            connection.autocommit = True
            yield RedshiftSession(self, connection)
        finally:
            with suppress(DriverError, OSError):
                connection.close()

    def _connect(self) -> Any:
        password = self.settings.redshift_password
        with self.explained():
            return redshift_connector.connect(
                host=self.settings.redshift_host,
                port=self.settings.redshift_port,
                database=self.settings.redshift_database,
                user=self.settings.redshift_username,
                password=password.get_secret_value() if password else "",
                # What does not leave this machine is a stand-in, or a tunnel that encrypts by itself.
                ssl=not is_this_machine(self.settings.redshift_host or ""),
                tcp_keepalive=True,
                application_name="data_platform_served",
            )

    @contextmanager
    def explained(self) -> Iterator[None]:
        """The driver's errors in words that name the cluster and quote no value."""
        try:
            yield
        except (DriverError, OSError) as error:
            raise self._said(error) from None

    def _said(self, error: Exception) -> TargetError:
        said = error.args[0] if error.args and isinstance(error.args[0], dict) else None
        if said is None:
            return TargetUnreachable(
                f"Redshift at {self.place} could not be reached, or broke off ({type(error).__name__}); see that "
                "REDSHIFT_HOST and REDSHIFT_PORT are right and that the cluster is up, then run again"
            )
        code, words = str(said.get("C", "")), str(said.get("M", "")).split("\n", 1)[0][:300]
        if code in ("28000", "28P01"):
            return TargetError(
                f"Redshift at {self.place} refuses the user or password; correct REDSHIFT_USERNAME and "
                "REDSHIFT_PASSWORD"
            )
        return refused(f"Redshift at {self.place}", words, code or "no code")


class RedshiftSession(SqlSession[Redshift]):
    """A connection to it."""

    dialect = DIALECT

    @contextmanager
    def prepared(self, work: Work) -> Iterator[Callable[[], None]]:
        """The rows' way into S3 is before the transaction, so that this is short; the files are gone after it."""
        staged = StagedFiles(
            self._target.settings, f"{self._target.staging}/{work.table.name}/{uuid4().hex}/"
        )
        try:
            staged.put(work.rows)
            yield lambda: self._copy(staged)
        finally:
            staged.remove()

    def _copy(self, staged: "StagedFiles") -> None:
        if not staged.keys:
            return
        role = self._target.settings.redshift_iam_role
        authority = f"iam_role '{role}'" if role else "iam_role default"
        self.execute(f"copy {STAGED} from '{staged.uri}' {authority} format as parquet")


class StagedFiles:
    """The files of one load, below a prefix that is theirs alone."""

    def __init__(self, settings: Settings, uri: str) -> None:
        self.uri = uri
        self.keys: list[str] = []
        self._client: Any = client("s3", settings)
        self._bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")

    def put(self, rows: Iterator[pa.RecordBatch]) -> None:
        for file in parquet_files(_checked(rows), old_moments=True):
            self._upload(file)

    def _upload(self, file: Path) -> None:
        key = f"{self._prefix}part-{len(self.keys):05d}.parquet"
        # Named before it is there, so that what was half done is removed too.
        self.keys.append(key)
        with explained("s3", f"the place of REDSHIFT_STAGING_URI, {self.uri}"), file.open("rb") as body:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def remove(self) -> None:
        """Best effort: what stays behind is in no later load's way."""
        with suppress(SourceError), explained("s3", self.uri):
            for key in self.keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)


def _checked(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        _refuse_long_texts(batch)
        yield batch


def _refuse_long_texts(batch: pa.RecordBatch) -> None:
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not pa.types.is_string(field.type):
            continue
        too_long = pc.sum(pc.greater(pc.binary_length(column), TEXT_BYTES)).as_py()
        if too_long:
            raise TargetError(
                f"{too_long} values of {field.name} are longer than the {TEXT_BYTES:,} bytes that Redshift's VARCHAR "
                "holds; serve the table without the column, or have silver shorten it"
            )
