"""Servers of the benchmarks, each in a process of its own: `python -m <module>` says on one line what it is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def served(module: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, which ends when its input does, and the first thing that it says."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server, said_by(server)
        finally:
            assert server.stdin is not None
            server.stdin.close()


def said_by(server: subprocess.Popen[str]) -> dict[str, Any]:
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        raise RuntimeError("the server ended; what it wrote above says why")
    return dict(json.loads(line))
