"""A stub of EMR Serverless' API in its REST-JSON protocol: what is needed to start a job and to follow it.

A job is run by a process on this machine, as spark-submit is told: its entry point and its --py-files are fetched from
S3, its --conf are Spark's, and what `spark.emr-serverless.driverEnv` says is its environment. What can't be had here:
the archive of packages (this environment's are used), the release's own Delta (ours is), workers, roles.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from sandbox.java import COMPILED_QUICKLY, jars
from sandbox.landing.answering import Answer, AnsweringServer, as_json

ENVIRONMENT = "spark.emr-serverless.driverEnv."
# What this machine has of its own, or has not at all.
NOT_HERE = ("spark.archives", "spark.jars", "spark.executorEnv.", "spark.emr-serverless.")
OWN_PYTHON = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")


class EmrServer(AnsweringServer):
    """Applications by any name; each job with its process, in a folder below `folder`."""

    def __init__(
        self,
        folder: Path,
        s3: dict[str, str],
        lakes: dict[str, str] | None = None,
        jvm: Sequence[str] = (COMPILED_QUICKLY,),
    ) -> None:
        super().__init__()
        self.jvm = jvm
        self.folder = folder
        self.s3 = s3
        # An s3:// lake, which needs a Spark with Hadoop's S3 client, by the folder that stands for it.
        self.lakes = lakes or {}
        self.asked: list[dict[str, Any]] = []
        self._jobs: dict[str, subprocess.Popen[bytes]] = {}

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        _, _, application, *rest = path.split("?")[0].split("/")
        if method == "POST" and rest == ["jobruns"]:
            asked = json.loads(body)
            self.asked.append(asked)
            job = self._start(asked["jobDriver"]["sparkSubmit"])
            return as_json(200, {"applicationId": application, "jobRunId": job, "arn": f"arn:{job}"})
        if not rest:
            return as_json(200, {"application": {"applicationId": application, "type": "Spark"}})
        if rest[-1] == "dashboard":
            return as_json(200, {"url": f"{self.url}/dashboard"})
        run = {"applicationId": application, "jobRunId": rest[1], "stateDetails": "", "attempt": 1}
        return as_json(200, {"jobRun": run | {"state": self._state(rest[1])}})

    def log(self, job: str) -> str:
        return (self.folder / job / "driver.log").read_text()

    def _state(self, job: str) -> str:
        ended = self._jobs[job].poll()
        if ended is None:
            return "RUNNING"
        return "FAILED" if ended else "SUCCESS"

    def _start(self, submitted: dict[str, Any]) -> str:
        job = uuid4().hex
        place = self.folder / job
        place.mkdir(parents=True)
        words = shlex.split(submitted["sparkSubmitParameters"])
        told = dict(word.split("=", 1) for word in words if "=" in word)
        files = words[words.index("--py-files") + 1].split(",")
        path = [str(self._fetched(file, place)) for file in files]
        said = {
            name.removeprefix(ENVIRONMENT): value
            for name, value in told.items()
            if name.startswith(ENVIRONMENT) and name.removeprefix(ENVIRONMENT) not in OWN_PYTHON
        }
        if said.get("LAKE_URI") in self.lakes:
            said["LAKE_URI"] = self.lakes[said["LAKE_URI"]]
        spark = {name: value for name, value in told.items() if not name.startswith(NOT_HERE)}
        delta = ":".join(map(str, sorted(jars("jars").glob("*.jar"))))
        spark |= {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.driver.extraClassPath": delta,
            "spark.driver.extraJavaOptions": " ".join(self.jvm),
        }
        submit = " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in spark.items())
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DAGSTER")},
            **self.s3,
            **said,
            "PYTHONPATH": ":".join(path),
            "PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell",
            "DATA_PLATFORM_HOME": str(place),
        }
        entry = self._fetched(submitted["entryPoint"], place)
        with (place / "driver.log").open("wb") as log:
            self._jobs[job] = subprocess.Popen(  # noqa: S603 - what the test has put there
                [sys.executable, str(entry), *submitted["entryPointArguments"]],
                cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return job

    def _fetched(self, uri: str, place: Path) -> Path:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        file = place / key.rpartition("/")[2]
        client = boto3.client(
            "s3",
            endpoint_url=self.s3["AWS_ENDPOINT_URL"],
            region_name=self.s3["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.s3["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.s3["AWS_SECRET_ACCESS_KEY"],
        )
        client.download_file(bucket, key, str(file))
        return file
