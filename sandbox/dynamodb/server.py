"""A private DynamoDB, ready in a second: `with DynamoDBServer() as server: …`.

It is DynamoDB Local, which Amazon makes of DynamoDB's own API: tables and their streams, in one process and on one
port. It has no rights, no throttling, no trimming and mostly one shard a stream; streams.py stands in for those.
"""

import shutil
import signal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.children import free_port
from sandbox.java import JavaServer, jars

REGION = "us-east-1"
# Whoever comes may do everything; DynamoDB Local takes letters and digits alone.
KEY = "sandbox"
# A server that is there answers at once.
ASKS_ONCE = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=2,
    read_timeout=10,
    max_pool_connections=16,
)


def client(service: str, url: str, config: Config | None = None) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=config,
    )


class DynamoDBServer:
    """All in memory, or in a folder that is named: what is in it is there when it starts again."""

    def __init__(self, *, folder: Path | None = None, port: int = 0) -> None:
        self.port = free_port(port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._keeps_folder = folder is not None
        self.folder = folder or Path(mkdtemp(prefix="dynamodb-"))
        self._jars = jars("dynamodb")
        self._process: JavaServer | None = None

    def settings(self) -> dict[str, str]:
        """The platform's settings for this server, by their names in the environment."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
        }

    def client(self, service: str = "dynamodb") -> Any:
        return client(service, self.url)

    def start(self) -> "DynamoDBServer":
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        kept = ["-dbPath", str(data)] if self._keeps_folder else ["-inMemory"]
        self._process = JavaServer(
            "dynamodb",
            [
                f"-Djava.library.path={self._jars}",
                "-cp",
                f"{self._jars}/*",
                "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
                *kept,
                *("-sharedDb", "-disableTelemetry", "-port", str(self.port)),
            ],
            log=self.folder / "server.log",
            answers=self._answers,
        )
        self._process.start()
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.stop(how)
            self._process = None
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """Falls over with every connection, and comes back on the same port. What was only in memory is gone."""
        if self._process is not None:
            self._process.stop(signal.SIGKILL)
        self.start()

    def __enter__(self) -> "DynamoDBServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            client("dynamodb", self.url, ASKS_ONCE).list_tables(Limit=1)
        except (BotoCoreError, ClientError):
            return False
        return True
