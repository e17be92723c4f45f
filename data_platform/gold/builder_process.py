"""What runs in dbt's own process (builder.py): what every build begins with, ahead, then one build after the other."""

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
    from collections.abc import Iterator

    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import Macro
    from dbt_common.events.base_types import EventMsg


def serve(asked: Connection) -> None:
    """Whatever the terminal says is for the process that began this one, whose end is the end of both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_who_began_it, daemon=True).start()
    settings: Settings = asked.recv()
    # A build changes what was read, so the next one reads the project itself.
    manifest = _read(settings)
    if manifest:
        _compile_macros(manifest)
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


def _compile_macros(manifest: "Manifest") -> None:
    """Those that builds call. dbt would compile each when a model first calls it."""
    from dbt_common.clients.jinja import template_cache

    for macro in _called_by_builds(manifest):
        template_cache.get_node_template(macro)


def _called_by_builds(manifest: "Manifest") -> "Iterator[Macro]":
    """The project's own, the materializations', and what these call: by its name, or as a warehouse's own of a name."""
    kinds = {node.config.materialized for node in manifest.nodes.values()}
    begins = tuple(f"materialization_{kind}_" for kind in kinds)
    named: dict[str, list[Macro]] = {}
    for macro in manifest.macros.values():
        named.setdefault(_name(macro), []).append(macro)
    waiting = {
        _name(macro)
        for macro in manifest.macros.values()
        if macro.package_name == manifest.metadata.project_name or macro.name.startswith(begins)
    }
    seen: set[str] = set()
    while waiting:
        seen |= waiting
        called = {each for name in waiting for macro in named[name] for each in macro.depends_on.macros}
        waiting = {_name(manifest.macros[each]) for each in called if each in manifest.macros} - seen
    return (macro for name in seen for macro in named[name])


def _name(macro: "Macro") -> str:
    """Without the warehouse that it is for."""
    return macro.name.rpartition("__")[2]


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
