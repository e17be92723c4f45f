"""The silver steps give the same tables on a standalone cluster and on Spark Connect, chosen by settings alone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from data_platform.lake.tables import Lake
from data_platform.silver.joined_step import join
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.silver.step import refine
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import OPPORTUNITIES
from sandbox.java import COMPILED_QUICKLY
from sandbox.spark.server import ConnectServer, SparkCluster
from tests.integration.landed import land

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MONDAY = date(2026, 6, 1)
CHECKOUT = Path(__file__).resolve().parents[2]
TABLES = ("salesforce_opportunities", "rest_api_exchange_rates", "opportunity_amounts")
# What a step of Dagster's does, without Dagster's start: the session comes from the environment's settings. The steps
# run for each line that comes in.
STEPS = """
import sys

from data_platform.lake.places import lake_of
from data_platform.lake.spark import session
from data_platform.settings import Settings
from data_platform.silver.joined_step import join
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.silver.step import refine
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import OPPORTUNITIES

settings = Settings(_env_file=None)
start, lake = lambda: session(settings), lake_of(settings)
for _ in sys.stdin:
    for table in (OPPORTUNITIES, EXCHANGE_RATES):
        refine(start, table, lake)
    join(start, OPPORTUNITY_AMOUNTS, lake)
    print("refined", flush=True)
start().stop()
"""


@contextmanager
def cluster() -> Iterator[tuple[dict[str, str], SparkCluster]]:
    with SparkCluster() as spark:
        yield (
            {
                "SPARK_MASTER": spark.master,
                "SPARK_LOCAL_IP": "127.0.0.1",
                "JAVA_TOOL_OPTIONS": COMPILED_QUICKLY,
            },
            spark,
        )


@contextmanager
def connect() -> Iterator[tuple[dict[str, str], ConnectServer]]:
    with ConnectServer() as spark:
        yield {"SPARK_REMOTE": spark.remote}, spark


def deal(number: int, second: int = 0, **more) -> dict:
    stamp = NOON + timedelta(seconds=second)
    told = {
        "Id": f"006{number:012}",
        "Amount": Decimal(number),
        "CurrencyIsoCode": "EUR",
        "CloseDate": MONDAY + timedelta(days=number % 3),
    }
    return told | {"CreatedDate": NOON, "LastModifiedDate": stamp, "SystemModstamp": stamp} | more


def rate(day: int, value: str) -> dict:
    return {"currency": "USD", "date": MONDAY + timedelta(days=day), "base": "EUR", "rate": Decimal(value)}


def landed_first(lake: Lake) -> None:
    # A negative amount breaks a rule: quarantine is written there too.
    land(lake, OPPORTUNITIES, *map(deal, range(300)), deal(300, Amount=Decimal(-1)))
    land(lake, EXCHANGE_RATES, rate(0, "1.25"), rate(1, "1.30"))


def landed_next(lake: Lake) -> None:
    deleted = {"_op": "delete", "IsDeleted": True}
    land(
        lake,
        OPPORTUNITIES,
        *(deal(number, second=1, Amount=Decimal(1)) for number in range(0, 300, 7)),
        deal(5, second=2, **deleted),
        deal(300, second=1),
    )
    land(lake, EXCHANGE_RATES, rate(2, "1.40"))


def content(lake: Lake) -> dict[str, list[dict]]:
    """All rows of the silver tables, and what their commits say of where they stand."""
    held = {name: lake.silver(name) for name in TABLES}
    rows = {
        name: sorted(table.query("select * from held").to_pylist(), key=str) for name, table in held.items()
    }
    positions = {f"{name}'s position": [dict(table.position or {})] for name, table in held.items()}
    return rows | positions


@pytest.fixture(scope="module")
def lakes(spark, tmp_path_factory) -> tuple[Path, Path, dict, dict]:
    """Bronze after the first landing and after the next, and what silver is then, made in this process."""
    folder = tmp_path_factory.mktemp("elsewhere")
    first, then = folder / "first", folder / "then"
    lake = Lake(str(folder / "here"))
    contents = []
    for place, landed in ((first, landed_first), (then, landed_next)):
        landed(lake)
        shutil.copytree(Path(lake.uri) / "bronze", place / "bronze")
        for table in (OPPORTUNITIES, EXCHANGE_RATES):
            refine(lambda: spark, table, lake)
        join(lambda: spark, OPPORTUNITY_AMOUNTS, lake)
        contents.append(content(lake))
    return first, then, *contents


@pytest.mark.parametrize("elsewhere", [cluster, connect])
def test_silver_is_the_same_wherever_its_steps_run(lakes, tmp_path, elsewhere):
    first, then, after_first, after_then = lakes
    lake = Lake(str(tmp_path / "lake"))
    with elsewhere() as (settings, spark):
        environment = {**os.environ, **settings, "LAKE_URI": lake.uri, "DATA_PLATFORM_HOME": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, "-c", STEPS],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as steps:
            for landed, expected in ((first, after_first), (then, after_then)):
                shutil.copytree(landed, lake.uri, dirs_exist_ok=True)
                print("refine", file=steps.stdin, flush=True)
                assert steps.stdout.readline() == "refined\n"
                assert content(lake) == expected
            steps.communicate()
        assert steps.returncode == 0
        if isinstance(spark, SparkCluster):
            assert spark.finished() == ["data-platform"]
            assert spark.registered() == 2
