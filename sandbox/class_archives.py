"""Makes the class archives with which the servers on Java start (`java.class_archive`), by starting each once.

`python -m sandbox.class_archives` is part of the set-up.
"""

import os
import shutil
from collections.abc import Callable, Mapping

from sandbox.java import class_archive
from sandbox.kafka.server import KafkaServer
from sandbox.registry.server import SchemaRegistry


def make_archives() -> None:
    for name, started in STARTED.items():
        archive = class_archive(name)
        archive.unlink(missing_ok=True)
        # What a JVM is told so, it obeys whoever starts it; it writes the archive when it is asked to end.
        os.environ["JAVA_TOOL_OPTIONS"] = f"-XX:ArchiveClassesAtExit={archive}"
        started()
        del os.environ["JAVA_TOOL_OPTIONS"]


def _broker() -> None:
    server = KafkaServer().start()
    server.create_topic("first", 1)
    server.stop()
    shutil.rmtree(server.folder)


def _registry() -> None:
    with SchemaRegistry():
        pass


# DynamoDB Local ends in a way that writes none.
STARTED: Mapping[str, Callable[[], None]] = {"kafka": _broker, "registry": _registry}


if __name__ == "__main__":
    make_archives()
