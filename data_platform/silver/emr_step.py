"""What runs on EMR Serverless: one silver step, told which by its argument. Dagster hears of it by messages in S3.

This file is the job's entry point by itself; all else comes from the platform's wheel and the archive of its
packages, see docs/scale.md.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
from dagster_pipes import PipesS3MessageWriter, open_dagster_pipes

from data_platform.lake.errors import LakeError
from data_platform.lake.places import lake_of
from data_platform.lake.spark import submitted_session
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.catalogue import JOINED
from data_platform.silver.joined_step import join
from data_platform.silver.step import Refined, refine
from data_platform.sources.catalogue import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def step(name: str, start: "Callable[[], SparkSession]", lake: Lake) -> Refined:
    """Bring the silver table of that name up to its inputs."""
    for table in TABLES:
        if table.silver_name == name:
            return refine(start, table, lake)
    for joined in JOINED:
        if joined.name == name:
            return join(start, joined, lake)
    raise LookupError(f"there is no silver table {name}; the wheel is of another version than Dagster's code")


def run(name: str) -> None:
    with open_dagster_pipes(message_writer=PipesS3MessageWriter(client=boto3.client("s3"))) as pipes:
        try:
            refined = step(name, submitted_session, lake_of(Settings()))
        except LakeError as reason:
            # Foreseen: it would be the same again, so the job ends well and Dagster is told why there is nothing.
            pipes.report_custom_message({"refused": str(reason)})
            return
        pipes.log.info(f"{name}: {refined.says}")
        pipes.report_asset_materialization(metadata=refined.metadata, data_version=str(refined.batch))


if __name__ == "__main__":
    run(sys.argv[1])
