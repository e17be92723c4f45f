"""A private Spark: `with SparkCluster() as cluster: …` has a master and two workers, `with ConnectServer() as …` a
session that others attach to.

Both run from PySpark's own jars. The wheel has no scripts that start them, so they are started by their classes.
"""

import http.client
import json
import shutil
import socket
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

import pyspark

from sandbox.children import free_port
from sandbox.java import COMPILED_QUICKLY, JavaServer, jars

SPARK_HOME = Path(pyspark.__file__).parent
# What Spark asks of Java 17; its own scripts say the same.
OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)
# What a session of ours needs of a server that it did not start; the rest it says itself.
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def _spark(main: str, *arguments: str, told: dict[str, str], with_delta: bool = False) -> list[str]:
    """The command of one of Spark's own programs."""
    places = [SPARK_HOME / "jars", *([jars("jars")] if with_delta else [])]
    return [
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
        *(f"-D{name}={value}" for name, value in told.items()),
        *("-cp", ":".join(f"{place}/*" for place in places)),
        *(main, *arguments),
    ]


class _Servers:
    """Processes that are started one after the other, each when the one before answers, and a folder of theirs."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="spark-"))
        self._started: list[JavaServer] = []

    def _run(self, server: JavaServer) -> None:
        server.start()
        self._started.append(server)

    def _begin(self) -> None:
        """Starts what belongs to it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for server in reversed(self._started):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class SparkCluster(_Servers):
    """A standalone master and its workers, of one core each."""

    def __init__(self, workers: int = 2, memory: str = "1g") -> None:
        super().__init__()
        self.workers = workers
        self.memory = memory
        self.port, self.page = free_port(), free_port()

    @property
    def master(self) -> str:
        """What SPARK_MASTER is set to."""
        return f"spark://127.0.0.1:{self.port}"

    def registered(self) -> int:
        """How many workers the master counts on."""
        return int(self._told()["aliveworkers"])

    def finished(self) -> list[str]:
        """The applications that ran here to their end."""
        return [each["name"] for each in self._told()["completedapps"]]

    def _told(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.page, timeout=10)
        try:
            connection.request("GET", "/json/")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return told

    def _begin(self) -> None:
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(self.page)]
        command = _spark("org.apache.spark.deploy.master.Master", *place, told={})
        self._run(
            JavaServer("spark-master", command, log=self.folder / "master.log", answers=self._master_answers)
        )
        for number in range(1, self.workers + 1):
            self._run(self._worker(number))

    def _worker(self, number: int) -> JavaServer:
        command = _spark(
            "org.apache.spark.deploy.worker.Worker",
            *("--host", "127.0.0.1", "--port", str(free_port()), "--webui-port", str(free_port())),
            *("--cores", "1", "--memory", self.memory, "--work-dir", str(self.folder / f"work{number}")),
            self.master,
            told={},
        )
        return JavaServer(
            "spark-worker",
            command,
            log=self.folder / f"worker{number}.log",
            answers=lambda: self.registered() == number,
            # As its script sets them: by these it builds the command of an executor, which lives for a minute here.
            environment={
                "SPARK_HOME": str(SPARK_HOME),
                "SPARK_SCALA_VERSION": "2.13",
                "JAVA_TOOL_OPTIONS": COMPILED_QUICKLY,
            },
        )

    def _master_answers(self) -> bool:
        try:
            self.registered()
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return True


class ConnectServer(_Servers):
    """One session's process, to which clients attach without a JVM of their own."""

    def __init__(self, memory: str = "1g") -> None:
        super().__init__()
        self.memory = memory
        self.port = free_port()

    @property
    def remote(self) -> str:
        """What SPARK_REMOTE is set to."""
        return f"sc://127.0.0.1:{self.port}"

    def _begin(self) -> None:
        told = {
            **DELTA,
            "spark.master": "local[2]",
            "spark.app.name": "connect",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
        }
        main = "org.apache.spark.sql.connect.service.SparkConnectServer"
        self._run(
            JavaServer(
                "spark-connect",
                _spark(main, told=told, with_delta=True),
                log=self.folder / "connect.log",
                answers=self._answers,
                memory=self.memory,
            )
        )

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
