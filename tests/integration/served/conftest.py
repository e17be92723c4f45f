"""A silver table that tests write by delta-rs, and both targets that it is loaded into: each test begins with none."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from data_platform.gold.served import Loaded, serve, target_for
from data_platform.gold.serving.declared import Served
from data_platform.lake.tables import APP_ID, Lake, Note
from data_platform.settings import Settings
from sandbox.postgres.server import PostgresServer
from sandbox.redshift.server import RedshiftServer
from sandbox.snowflake.server import SnowflakeServer

BUCKET = "staging"
S3_LOGIN = {"aws_access_key_id": "somebody", "aws_secret_access_key": "a-secret-of-s3"}
AD_TYPES = pa.schema(
    [
        ("platform", pa.string()),
        ("ad_id", pa.string()),
        ("day", pa.date32()),
        ("ad_name", pa.string()),
        ("clicks", pa.int64()),
        ("impressions", pa.int64()),
        ("spend", pa.decimal128(18, 2)),
        ("spend_usd", pa.decimal128(18, 2)),
    ]
)


class Silver:
    """A silver table and the truth of it: every commit is a batch, and rows keep the batch that last touched them."""

    def __init__(self, lake: Lake, name: str, types: pa.Schema, key: tuple[str, ...]) -> None:
        self.table = lake.silver(name)
        self.key = key
        self.batch = 0
        self.rows: dict[tuple, dict] = {}
        self._schema = pa.schema([*types, ("is_deleted", pa.bool_()), ("_batch", pa.int64())])

    def change(self, *rows: Mapping[str, Any]) -> None:
        self.batch += 1
        for row in rows:
            self.rows[self._key(row)] = {**row, "is_deleted": False, "_batch": self.batch}
        self._commit()

    def delete(self, *keys: tuple) -> None:
        self.batch += 1
        for key in keys:
            self.rows[key] |= {"is_deleted": True, "_batch": self.batch}
        self._commit()

    def restore(self, version: int) -> None:
        """As Delta's own RESTORE does it; the truth is what that version held."""
        DeltaTable(self.table.uri).restore(version)
        held = self.table.fresh()
        self.batch = held.batch
        self.rows = {self._key(row): row for row in held.query("select * from held").to_pylist()}

    def live(self) -> list[dict]:
        return [row for row in self.rows.values() if not row["is_deleted"]]

    def _key(self, row: Mapping[str, Any]) -> tuple:
        return tuple(row[name] for name in self.key)

    def _commit(self) -> None:
        write_deltalake(
            self.table.uri,
            pa.Table.from_pylist(list(self.rows.values()), schema=self._schema),
            mode="overwrite",
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": Note({"read": self.batch}).to_json()},
                app_transactions=[Transaction(APP_ID, self.batch)],
            ),
        )


def ad(platform: str, number: int, day: int = 1, **more: Any) -> dict:
    """A row of ad performance, its numbers made of its own."""
    row = {
        "platform": platform,
        "ad_id": f"ad-{number}",
        "day": date(2026, 6, day),
        "ad_name": f"Ad {number}",
        "clicks": number,
        "impressions": number * 10,
        "spend": Decimal(number) + Decimal("0.37"),
        "spend_usd": None,
    }
    return row | more


class Ads(Silver):
    """Ad performance, as Facebook and Google bring it."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(lake, "ad_performance", AD_TYPES, ("platform", "ad_id", "day"))


class Loading:
    """One target, as the platform reaches it, and as its users look into it."""

    def __init__(self, name: str, lake: Lake, postgres: PostgresServer, given: Mapping[str, Any]) -> None:
        self.name = name
        self.lake = lake
        self.given = dict(given)
        self.execute = postgres.execute

    def settings(self, **more: Any) -> Settings:
        return Settings(_env_file=None, lake_uri=self.lake.uri, **(self.given | more))

    def load(self, table: Served, **settings: Any) -> Loaded:
        return serve(table, target_for(self.name, self.settings(**settings)), self.lake)

    def rows(self, table: Served) -> list[tuple]:
        """All that users see, in the order of the key."""
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        order = ", ".join(f'"{name}"' for name in table.key)
        return self.execute(f'select {columns} from "{table.name}" order by {order}')

    def agrees(self, table: Served, silver: Silver) -> None:
        """Every live row of silver with every column that is served, once, and no other."""
        there = [row for row in silver.live() if table.where.items() <= row.items()]
        truth = [tuple(row[column.silver_name] for column in table.columns) for row in there]
        assert sorted(self.rows(table), key=str) == sorted(truth, key=str)

    def has(self, name: str) -> bool:
        return self.execute(f"select to_regclass('{name}') is not null") == [(True,)]

    def order(self, table: str, **more: Any) -> str:
        """For a load in a process of its own."""
        return json.dumps(
            {"target": self.name, "table": table, "settings": self.given | {"lake_uri": self.lake.uri}} | more
        )


@pytest.fixture(scope="session")
def served_postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        # It would begin transactions of its own, once a minute, and some tests count how many there were.
        with closing(server.connect()) as connection:
            connection.autocommit = True
            connection.cursor().execute("alter system set autovacuum = off")
            connection.cursor().execute("select pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def s3(s3_url: str) -> Any:
    client = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **S3_LOGIN)
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="session")
def redshift(served_postgres: PostgresServer, s3: Any) -> Iterator[RedshiftServer]:
    with RedshiftServer(served_postgres, s3) as server:
        yield server


@pytest.fixture(scope="session")
def snowflake() -> Iterator[SnowflakeServer]:
    with SnowflakeServer() as server:
        yield server


@pytest.fixture
def emptied(served_postgres: PostgresServer) -> Iterator[PostgresServer]:
    yield served_postgres
    served_postgres.execute("drop schema public cascade; create schema public")


@pytest.fixture
def to_postgres(emptied: PostgresServer, lake: Lake) -> Loading:
    return Loading("postgres", lake, emptied, {"served_postgres_dsn": emptied.dsn})


@pytest.fixture
def to_redshift(emptied: PostgresServer, redshift: RedshiftServer, s3_url: str, lake: Lake) -> Loading:
    redshift.statements.clear()
    given = {name.lower(): value for name, value in redshift.settings().items()}
    staging = {"redshift_staging_uri": f"s3://{BUCKET}/{uuid4().hex}", "aws_endpoint_url": s3_url, **S3_LOGIN}
    return Loading("redshift", lake, emptied, given | staging)


@pytest.fixture(params=["postgres", "redshift"])
def loading(request: pytest.FixtureRequest) -> Loading:
    return request.getfixturevalue(f"to_{request.param}")


@pytest.fixture
def ads(lake: Lake) -> Ads:
    return Ads(lake)


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def staged_keys(s3: Any, to_redshift: Loading) -> Any:
    """What lies where this test's loads are staged."""
    prefix = to_redshift.given["redshift_staging_uri"].removeprefix(f"s3://{BUCKET}/")

    def keys() -> list[str]:
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]

    return keys


@pytest.fixture
def killed_load() -> Any:
    """A load in a process of its own that `kill -9` ends where it is told to; the folder is the checkout."""

    def load(order: str) -> int:
        script = Path(__file__).with_name("killed_load.py")
        checkout = Path(__file__).resolve().parents[3]
        ended = subprocess.run(
            [sys.executable, str(script)], input=order, text=True, cwd=checkout, capture_output=True, timeout=120,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout)},
        )  # fmt: skip
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode

    return load
