"""A private schema registry (Apicurio, asked in Confluent's protocol). `with SchemaRegistry() as registry: …`."""

import http.client
import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from sandbox.children import free_port
from sandbox.java import JavaServer, jars

ANSWERS_WITHIN = 30.0
PROTOCOL = "/apis/ccompat/v7"


class SchemaRegistry:
    """A registry on a free port of this machine unless one is named; its schemas outlive a stop, and a kill."""

    def __init__(self, *, folder: Path | None = None, port: int = 0) -> None:
        self.port = free_port(port)
        self._keeps_folder = folder is not None
        self.folder = folder or Path(mkdtemp(prefix="registry-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        program = next(jars("registry").glob("*-runner.jar"))
        told = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(self.port),
            # Written at once, so that a kill takes no schema with it.
            "quarkus.datasource.jdbc.url": f"jdbc:h2:file:{self.folder / 'schemas'};WRITE_DELAY=0",
            "quarkus.datasource.jdbc.initial-size": "2",
            "quarkus.datasource.jdbc.min-size": "2",
            "registry.logging.audit.enabled": "false",
            "quarkus.log.level": "WARN",
        }
        properties = [f"-D{name}={value}" for name, value in told.items()]
        self._server = JavaServer(
            "registry",
            [*properties, "-jar", str(program)],
            log=self.folder / "registry.log",
            answers=self._answers,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PROTOCOL}"

    def start(self) -> "SchemaRegistry":
        self._server.start()
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Nobody answers on its port, until `start`."""
        self._server.stop(how)

    def register(
        self,
        subject: str,
        schema: dict[str, Any] | str,
        references: Sequence[dict[str, Any]] = (),
        kind: str = "AVRO",
    ) -> int:
        """The schema's id, which is the same however often it is registered; `references` as the protocol has them."""
        said = {"schema": json.dumps(schema), "schemaType": kind, "references": list(references)}
        answer: dict[str, Any] = self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", said)
        return int(answer["id"])

    def subjects(self) -> list[str]:
        named: list[str] = self._ask("GET", "/subjects")
        return named

    def __enter__(self) -> "SchemaRegistry":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        if not self._keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self.subjects()
        except (OSError, http.client.HTTPException, RuntimeError):
            return False
        return True

    def _ask(self, method: str, path: str, said: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWERS_WITHIN)
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        try:
            connection.request(
                method, PROTOCOL + path, json.dumps(said) if said is not None else None, headers
            )
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise RuntimeError(f"the schema registry answered {response.status} to {method} {path}")
        return json.loads(answer)
