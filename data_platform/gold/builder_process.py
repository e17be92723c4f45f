"""What runs in dbt's own process (builder.py): the project read ahead, then one build after the other."""

import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from threading import Thread
from typing import TYPE_CHECKING, Any

from data_platform.gold.builder import Built, Failed
from data_platform.gold.dbt import artifacts_in, run_dbt, seed_parse
from data_platform.settings import Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg


def serve(asked: Connection) -> None:
    """Whatever the terminal says is for the process that began this one, whose end is the end of both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_who_began_it, daemon=True).start()
    settings: Settings = asked.recv()
    # A build changes what was read, so the next one reads the project itself.
    manifest = _read(settings)
    while True:
        arguments: list[str] = asked.recv()
        for printed in (1, 2):
            os.dup2(recv_handle(asked), printed)
        asked.send(_build(settings, arguments, manifest))
        manifest = None


def _end_with_who_began_it() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _read(settings: Settings) -> "Manifest | None":
    """None where it can't be read: the build will say why."""
    target = artifacts_in(settings)
    seed_parse(settings, target)
    read = run_dbt(settings, ["--no-write-json", "--quiet", "parse"], target)
    return read.result if read.success else None  # type: ignore[return-value]


def _build(settings: Settings, arguments: list[str], manifest: "Manifest | None") -> Built:
    results: list[dict[str, Any]] = []
    ended = run_dbt(
        settings, arguments, artifacts_in(settings), lambda event: _keep_result(event, results), manifest
    )
    return Built(ended.success, results, _failed(ended), str(ended.exception or ""))


def _keep_result(event: "EventMsg", results: list[dict[str, Any]]) -> None:
    from dbt_common.events.functions import msg_to_dict

    if event.info.name in ("LogModelResult", "LogTestResult"):
        results.append(msg_to_dict(event))


def _failed(ended: "dbtRunnerResult") -> list[Failed]:
    return [
        Failed(node.node.name, str(node.message), node.status == "error")
        for node in getattr(ended.result, "results", [])
        if node.status in ("error", "fail")
    ]


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
