"""A private Kafka broker with its schema registry, made in seconds. `with KafkaServer() as server: …`.

It is the real broker in one process (KRaft), with TLS and SCRAM as the company's cluster has them.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from sandbox.certificate import certificate_in
from sandbox.children import free_port
from sandbox.java import JavaServer, jars, java
from sandbox.registry.server import SchemaRegistry

USER = "platform"
# A broker that is there answers at once; one that is not is asked again.
ANSWERS_WITHIN = 2.0
ACTS_WITHIN = 30.0
# No two sandboxes share one: the id is of the storage, which each has of its own.
CLUSTER = "c2FuZGJveC1rYWZrYQ-1-A"
QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")

BROKER = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "SASL_SSL",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
    "ssl.keystore.type": "PEM",
    "ssl.truststore.type": "PEM",
    "auto.create.topics.enable": "false",
    # One broker can't hold more than one copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "8388608",
    # Retention and compaction that a test asks for are seen soon.
    "log.retention.check.interval.ms": "1000",
    "log.cleaner.backoff.ms": "1000",
    "log.segment.delete.delay.ms": "0",
    # A message of 5 MB is one that some producer will send.
    "message.max.bytes": "20971520",
    # A day of the sandbox is not one of the clock's: what is a week old is kept.
    "log.retention.ms": "-1",
}


class KafkaServer:
    """A broker with one user, on a free port of this machine unless one is named, and a registry beside it.

    One that is `compiled_well` starts later and serves a million messages in a quarter of the processor's time.
    """

    def __init__(
        self,
        folder: Path | None = None,
        port: int = 0,
        *,
        registry_port: int = 0,
        password: str | None = None,
        compiled_well: bool = False,
    ) -> None:
        self.port = free_port(port)
        self.password = password or token_hex(16)
        self._keeps_folder = folder is not None
        self.folder = folder or Path(mkdtemp(prefix="kafka-"))
        self._certificate = certificate_in(self.folder)
        self.ca_file = self._certificate.authority
        self.registry = SchemaRegistry(folder=self.folder / "registry", port=registry_port)
        self._properties = self.folder / "server.properties"
        self._server = JavaServer(
            "kafka",
            [*QUIET, "-cp", f"{jars('kafka')}/*", "kafka.Kafka", str(self._properties)],
            log=self.folder / "broker.log",
            answers=self._answers,
            memory="512m",
            compiled_well=compiled_well,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def settings(self) -> dict[str, str]:
        """The platform's settings for this cluster, by their names in the environment."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_USERNAME": USER,
            "KAFKA_PASSWORD": self.password,
            "KAFKA_CA_LOCATION": str(self.ca_file),
            "SCHEMA_REGISTRY_URL": self.registry.url,
        }

    def client(self) -> dict[str, str | int | float | bool]:
        """What a client of librdkafka is told to talk to this broker."""
        return {
            "bootstrap.servers": self.address,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.ca_file),
            # A client that asks before the broker is there writes nothing of it.
            "log_level": 0,
        }

    def start(self) -> "KafkaServer":
        """The broker alone, on its port and with what it held."""
        self._write_properties()
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        self._server.start()
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """The broker alone ends, and keeps its data; SIGKILL ends it without a goodbye."""
        self._server.stop(how)

    def admin(self) -> AdminClient:
        return AdminClient(self.client())

    def create_topic(self, name: str, partitions: int, **config: str) -> None:
        """`config` in Kafka's names, with underscores for dots."""
        told = {option.replace("_", "."): value for option, value in config.items()}
        # Who drops the client before the answer has none.
        admin = self.admin()
        admin.create_topics([NewTopic(name, partitions, 1, config=told)])[name].result(ACTS_WITHIN)

    def topics(self) -> set[str]:
        return set(self.admin().list_topics(timeout=ACTS_WITHIN).topics)

    def __enter__(self) -> "KafkaServer":
        """Both at once: each waits for a process of its own."""
        with ThreadPoolExecutor(2) as starters:
            starting: list[Future[Any]] = [starters.submit(self.start), starters.submit(self.registry.start)]
        try:
            for each in starting:
                each.result()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGTERM if self._keeps_folder else signal.SIGKILL)
        self.registry.stop(signal.SIGKILL)
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _write_properties(self) -> None:
        controller = free_port()
        login = f'username="{USER}" password="{self.password}"'
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        own = {
            "listeners": f"SASL_SSL://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"SASL_SSL://{self.address}",
            # Named here and not kept in its log, so that another port does for the next start.
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{scram} required {login};",
            "ssl.keystore.location": str(self._certificate.server),
            "ssl.truststore.location": str(self._certificate.authority),
            "log.dirs": str(self.folder / "data"),
        }
        lines = "".join(f"{name}={value}\n" for name, value in (BROKER | own).items())
        self._properties.touch(mode=0o600)
        self._properties.write_text(lines)

    def _format(self) -> None:
        """The storage, with the user in it: who logs in has to be known before the broker is there."""
        user = f"SCRAM-SHA-512=[name={USER},password={self.password},iterations=4096]"
        told = ("-t", CLUSTER, "-c", str(self._properties), "--add-scram", user)
        self._run_tool("kafka.tools.StorageTool", "format", *told)

    def _run_tool(self, name: str, *arguments: str) -> None:
        options: Sequence[str] = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", *QUIET)
        done = subprocess.run(  # noqa: S603
            [java(), *options, "-cp", f"{jars('kafka')}/*", name, *arguments],
            capture_output=True, text=True, check=False, cwd=self.folder, env=os.environ,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} failed; it wrote last:\n{(done.stdout + done.stderr)[-2000:]}")

    def _answers(self) -> bool:
        # A client's own way to try again takes longer than the broker to start.
        try:
            socket.create_connection(("127.0.0.1", self.port), ANSWERS_WITHIN).close()
        except OSError:
            return False
        try:
            return bool(self.admin().list_topics(timeout=ANSWERS_WITHIN).brokers)
        except KafkaException:
            return False
