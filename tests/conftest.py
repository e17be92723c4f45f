"""What all tests share: an environment that says nothing, one Spark session, and a lake of each test's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.lake.tables import Lake
from data_platform.settings import Settings

# A developer's own settings must not reach into the tests.
PREFIXES = (
    "APPFLOW_",
    "AWS_",
    "CLEVERTAP_",
    "DAGSTER_",
    "DATABASE_",
    "DATA_PLATFORM_",
    "DYNAMODB_",
    "EXCHANGE_",
    "FACEBOOK_",
    "GLUE_",
    "GOOGLE_",
    "KAFKA_",
    "LAKE_",
    "LANDING_",
    "MYSQL_",
    "POSTGRES_",
    "REDSHIFT_",
    "SALESFORCE_",
    "SCHEMA_",
    "SERVED_",
    "SNOWFLAKE_",
    "SPARK_",
    "STREAM_",
    "TOKEN_",
    "WAREHOUSE",
    "WINDOW_",
)


@pytest.fixture(scope="session", autouse=True)
def quiet_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in os.environ:
            if name.startswith(PREFIXES):
                environment.delenv(name)
        environment.setenv("DATA_PLATFORM_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The session of the whole run; it is started by the first test that asks for it."""
    from data_platform.lake.spark import session

    spark = session(Settings(_env_file=None, data_platform_home=tmp_path_factory.mktemp("spark")))
    yield spark
    spark.stop()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))
