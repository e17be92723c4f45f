"""Silver steps as jobs of EMR Serverless: started by Dagster Pipes, run from the platform's wheel, reported by S3.

The API is sandbox/emr's stub, S3 is moto's, and the job's Spark is this machine's own.
"""

import shutil
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import boto3
import dagster as dg
import pytest

from data_platform.lake.spark import CLASS_ARCHIVE, LOCAL_JVM
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver import emr_step
from data_platform.silver.assets import silver_asset
from data_platform.silver.emr import ENTRY_POINT, WHEEL
from data_platform.sources.rest_api import EXCHANGE_RATES
from sandbox.emr.server import EmrServer
from tests.integration.landed import land

CHECKOUT = Path(__file__).resolve().parents[2]
KNOWN = {"aws_access_key_id": "somebody", "aws_secret_access_key": "a-secret-of-emr"}
LAKE = "s3://company/lake"
CODE = "s3://releases/emr/1"
BUILD = "from setuptools import build_meta; build_meta.build_wheel('wheel')"


@pytest.fixture(scope="module")
def released(s3_url, tmp_path_factory) -> str:
    """The wheel and the entry point in S3, as docs/scale.md says to put them there; its URL."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(CHECKOUT / "data_platform", checkout / "data_platform")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, checkout)
    subprocess.run([sys.executable, "-c", BUILD], cwd=checkout, check=True, capture_output=True)
    (wheel,) = (checkout / "wheel").glob("*.whl")
    s3 = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **KNOWN)
    s3.create_bucket(Bucket="releases")
    s3.upload_file(str(wheel), "releases", f"emr/1/{WHEEL}")
    s3.upload_file(emr_step.__file__, "releases", f"emr/1/{ENTRY_POINT}")
    return s3_url


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def emr(released, tmp_path, lake):
    s3 = {"AWS_ENDPOINT_URL": released, "AWS_DEFAULT_REGION": "us-east-1"}
    s3 |= {name.upper(): value for name, value in KNOWN.items()}
    jvm = (*LOCAL_JVM, f"-XX:SharedArchiveFile={CLASS_ARCHIVE}")
    with EmrServer(tmp_path / "jobs", s3, lakes={LAKE: lake.uri}, jvm=jvm) as server:
        yield server


def settings_of(emr: EmrServer, **more) -> Settings:
    told = {
        "lake_uri": LAKE,
        "emr_application_id": "00f1",
        "emr_execution_role": "arn:aws:iam::1:role/silver",
        "emr_code_uri": CODE,
        "emr_looks_every": timedelta(milliseconds=50),
        "aws_endpoint_url": emr.s3["AWS_ENDPOINT_URL"],
        "aws_endpoint_url_emr_serverless": emr.url,
    }
    return Settings(_env_file=None, **KNOWN, **(told | more))


def materialized(settings: Settings) -> dg.ExecuteInProcessResult:
    asset = silver_asset(EXCHANGE_RATES, settings, dg.AutomationCondition.eager())
    return dg.materialize([asset], raise_on_error=False)


def test_a_step_runs_as_a_job_and_tells_dagster_what_it_did(emr, lake):
    rates = [
        {
            "currency": "USD",
            "date": date(2026, 6, day),
            "base": "EUR",
            "rate": Decimal("1.25"),
            "_op": "upsert",
        }
        for day in range(1, 4)
    ]
    land(lake, EXCHANGE_RATES, *rates)

    result = materialized(settings_of(emr))

    assert result.success
    silver = lake.silver(EXCHANGE_RATES.silver_name)
    held = silver.query("select currency, date, rate from held").to_pylist()
    told = ("currency", "date", "rate")
    assert sorted(held, key=str) == sorted(({name: row[name] for name in told} for row in rates), key=str)
    (event,) = result.asset_materializations_for_node("silver__rest_api_exchange_rates")
    said = {name: value.value for name, value in event.metadata.items()}
    assert said | {"dagster/row_count": 3, "read": 3, "merged": 3, "quarantined": 0, "batch": 1} == said
    assert event.tags["dagster/data_version"] == "1"
    (asked,) = emr.asked
    assert asked["executionRoleArn"] == "arn:aws:iam::1:role/silver"
    assert asked["jobDriver"]["sparkSubmit"]["entryPointArguments"] == ["rest_api_exchange_rates"]


def test_what_a_step_refuses_is_said_in_dagster_and_not_tried_again(emr):
    (failed,) = materialized(settings_of(emr)).get_step_failure_events()
    assert "materialize bronze/rest_api/exchange_rates first" in failed.step_failure_data.error.message
    assert len(emr.asked) == 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"emr_code_uri": None}, "EMR_CODE_URI is not"),
        ({"emr_code_uri": None, "emr_execution_role": None}, "EMR_EXECUTION_ROLE and EMR_CODE_URI is not"),
        ({"lake_uri": "/srv/lake"}, "set LAKE_URI to s3://bucket/prefix"),
    ],
)
def test_what_is_not_set_is_named_and_nothing_is_started(emr, setting, said):
    result = materialized(settings_of(emr, **setting))
    (failed,) = result.get_step_failure_events()
    assert said in failed.step_failure_data.error.message
    assert not emr.asked
