"""Silver steps on EMR Serverless instead of in Dagster's process: started, followed and reported by Dagster Pipes."""

from typing import Any

import dagster as dg

from data_platform.connectors.aws import client
from data_platform.lake.errors import LakeError
from data_platform.lake.spark import DELTA
from data_platform.settings import Settings

# What a release is to be put in S3 as, below EMR_CODE_URI.
ENTRY_POINT = "emr_step.py"
WHEEL = "data_platform.zip"
PACKAGES = "packages.tar.gz"
PYTHON = "./packages/bin/python"


def run_on_emr(context: dg.AssetExecutionContext, settings: Settings, name: str) -> Any:
    """The step of one table as a job of EMR_APPLICATION_ID; what it did comes back as Dagster's own result."""
    from dagster_aws.pipes import PipesEMRServerlessClient, PipesS3MessageReader

    job = job_of(settings, name)
    bucket = str(settings.emr_code_uri).removeprefix("s3://").split("/")[0]
    look = settings.emr_looks_every.total_seconds()
    pipes = PipesEMRServerlessClient(
        client=client("emr-serverless", settings),
        message_reader=PipesS3MessageReader(bucket=bucket, client=client("s3", settings), interval=look),
        poll_interval=look,
    )
    done = pipes.run(context=context, start_job_run_params=job)
    for message in done.get_custom_messages():
        raise LakeError(message["refused"])
    return done.get_materialize_result()


def job_of(settings: Settings, name: str) -> Any:
    """What EMR is asked to run."""
    missing = [
        said
        for said, value in {
            "EMR_EXECUTION_ROLE": settings.emr_execution_role,
            "EMR_CODE_URI": settings.emr_code_uri,
        }.items()
        if not value
    ]
    if missing:
        raise LakeError(
            f"silver runs on EMR Serverless, since EMR_APPLICATION_ID is set, and {' and '.join(missing)} is not; "
            "set it as docs/scale.md says"
        )
    if not settings.lake.startswith("s3://"):
        raise LakeError(
            f"silver runs on EMR Serverless, which can't reach {settings.lake}: set LAKE_URI to s3://bucket/prefix"
        )
    return {
        "applicationId": settings.emr_application_id,
        "executionRoleArn": settings.emr_execution_role,
        "name": f"silver/{name}",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": f"{settings.emr_code_uri}/{ENTRY_POINT}",
                "entryPointArguments": [name],
                "sparkSubmitParameters": _parameters(settings),
            }
        },
    }


def _parameters(settings: Settings) -> str:
    told = {
        **DELTA,
        "spark.archives": f"{settings.emr_code_uri}/{PACKAGES}#packages",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": PYTHON,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
        "spark.emr-serverless.driverEnv.LAKE_URI": settings.lake,
    }
    said = " ".join(f"--conf {name}={value}" for name, value in told.items())
    return f"--py-files {settings.emr_code_uri}/{WHEEL} {said} {settings.emr_spark_parameters}".strip()
