"""A process of its own for dbt, which makes ready while the steps before gold work.

To import dbt and to read the project takes seconds of one processor, and the steps before gold leave some of a machine
idle. Killed anywhere, the process that began it takes it along.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from types import TracebackType
from typing import Any, Self

from data_platform.settings import CHECKOUT, Settings


@dataclass(frozen=True)
class Failed:
    """A model that could not be built, or a test that did not pass."""

    name: str
    message: str
    is_error: bool


@dataclass(frozen=True)
class Built:
    """What a build came to: dbt's own messages on models and tests, and what ended dbt itself."""

    success: bool
    results: Sequence[Mapping[str, Any]]
    failed: Sequence[Failed]
    trouble: str


class BuilderLost(Exception):
    """dbt's process ended before it had answered."""


class Builder:
    """dbt, made ready from `with` on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: Connection | None = None

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def build(self, arguments: Sequence[str]) -> Built:
        """Run a command of dbt's that builds. What it prints goes where this process prints now."""
        process, asked = self._begin()
        try:
            asked.send(list(arguments))
            for printed in (1, 2):
                send_handle(asked, printed, process.pid)
            built: Built = asked.recv()
        except (EOFError, OSError):
            raise BuilderLost(
                f"the process of dbt ended ({process.wait()}) before it was done. What it had not committed is not "
                "there, and is built by the next attempt"
            ) from None
        return built

    def _begin(self) -> tuple["subprocess.Popen[bytes]", Connection]:
        if self._process is not None and self._asked is not None and self._process.poll() is None:
            return self._process, self._asked
        self._end()
        asked, answering = Pipe()
        with answering:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                _command(answering.fileno()),
                cwd=CHECKOUT,
                # Its end is the end of whoever holds the other one.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[answering.fileno()],
            )
        self._asked = asked
        asked.send(self._settings)
        return self._process, asked

    def _end(self) -> None:
        if self._asked is not None:
            self._asked.close()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = self._asked = None


def _command(answering: int) -> list[str]:
    return [sys.executable, "-m", "data_platform.gold.builder_process", str(answering)]
