"""Where files land: a folder, or a bucket of a local S3. `with LandingFolder(path) as zone: zone.put(key, body)`."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import boto3
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sandbox.children import free_port
from sandbox.landing.files import FORMS, Row

REGION = "us-east-1"


class Zone(Protocol):
    """A place that files can be put into, changed in and taken from."""

    def put(self, key: str, body: bytes) -> None: ...

    def take_away(self, key: str) -> None: ...


def land_object(
    zone: Zone, name: str, day: date, rows: Sequence[Row], form: str = "csv", file: str = "part-0"
) -> str:
    """What a flow of AppFlow writes of an object of Salesforce on a day; returns the file's key."""
    key = f"raw/salesforce/{name}/{day:%Y/%m/%d}/{file}.{form}"
    zone.put(key, FORMS[form](rows))
    return key


def land_rates(zone: Zone, day: date, rates: Mapping[str, float], base: str = "USD") -> str:
    """What the Lambda writes on a day; returns the file's key."""
    key = f"raw/api-data/exchange_rates/{day:%Y/%m/%d}/{base}.json"
    document = {"amount": 1.0, "base": base, "date": day.isoformat(), "rates": dict(rates)}
    zone.put(key, json.dumps(document).encode())
    return key


class LandingFolder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def settings(self) -> dict[str, str]:
        return {"LANDING_URI": str(self.folder)}

    def put(self, key: str, body: bytes) -> None:
        """A file is whole at once, and newer than the one that it takes the place of."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else None
        path.write_bytes(body)
        if before is not None and path.stat().st_mtime_ns <= before:
            os.utime(path, ns=(before + 1, before + 1))

    def take_away(self, key: str) -> None:
        (self.folder / key).unlink()


class LocalAws:
    """S3 and SQS on a free port, in a process of their own. Whoever knows its keys may do everything."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secret = secrets.token_urlsafe(16)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        patient = requests.Session()
        patient.mount(
            "http://", HTTPAdapter(max_retries=Retry(total=300, backoff_factor=0.05, backoff_max=0.2))
        )
        patient.get(f"{self.url}/moto-api/data.json", timeout=30).raise_for_status()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def settings(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="sandbox",
            aws_secret_access_key=self.secret,
        )


class LandingBucket:
    """A bucket of a local S3, with the platform's files below a prefix of it."""

    def __init__(self, aws: LocalAws, bucket: str, below: str = "zone") -> None:
        self.aws = aws
        self.bucket = bucket
        self.below = below
        self.s3 = aws.client("s3")
        self.s3.create_bucket(Bucket=bucket)

    def settings(self) -> dict[str, str]:
        return self.aws.settings() | {"LANDING_URI": f"s3://{self.bucket}/{self.below}"}

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.below}/{key}", Body=body)

    def take_away(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=f"{self.below}/{key}")
