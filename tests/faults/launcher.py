"""A run of the platform in a process of its own, as `dagster asset materialize` runs it, with faults planted from
outside: functions are patched before the command starts, and the product knows nothing of it.

The process is forked from one that has imported the libraries and nothing of this run, which saves each run seconds.
"""

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from typing import Any, Protocol

from dagster._cli import ENV_PREFIX, cli

# For another run, which may have a Spark to start first.
PATIENCE = 120.0


class Fault(Protocol):
    """What is planted before a run starts."""

    def plant(self) -> None: ...


@dataclass(frozen=True)
class Order:
    """What to materialize, with which settings, where its output goes, and what goes wrong."""

    select: str
    environment: Mapping[str, str]
    output: Path
    faults: Sequence[Fault] = ()


def launch(order: Order) -> None:
    """The whole life of a forked process."""
    prepare(order.environment, order.output, order.faults)
    arguments = ["asset", "materialize", "-m", "data_platform.definitions", "--select", order.select]
    cli(arguments, auto_envvar_prefix=ENV_PREFIX)


def prepare(environment: Mapping[str, str], output: Path, faults: Sequence[Fault]) -> None:
    """How the life of any forked process begins."""
    # A group of its own, so that Spark's JVM dies with it.
    os.setpgrp()
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    for fault in faults:
        fault.plant()


def die(alone: bool = False) -> None:
    """As by `kill -9`: nothing is closed, nothing is said."""
    if alone:
        os.kill(os.getpid(), signal.SIGKILL)
    os.killpg(0, signal.SIGKILL)


@dataclass(frozen=True)
class KillAt:
    """Dies where a function (`module:name`) is called for the n-th time, or where it has returned.

    Only calls are counted whose arguments mention `about`.
    """

    function: str
    call: int = 1
    after: bool = False
    about: str = ""

    def plant(self) -> None:
        calls = count(1)

        def deadly(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            is_the_one = self.about in str(args) and next(calls) == self.call
            if is_the_one and not self.after:
                die()
            result = original(*args, **kwargs)
            if is_the_one:
                die()
            return result

        patch(self.function, deadly)


@dataclass(frozen=True)
class KillWhenWritten:
    """Dies as soon as a file like `pattern` appears in a folder, while a function runs.

    `alone` leaves Spark's JVM behind, which then ends when it notices.
    """

    function: str
    folder: str
    pattern: str
    alone: bool = False

    def plant(self) -> None:
        def deadly(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            Thread(target=self._watch, args=(self._files(),), daemon=True).start()
            return original(*args, **kwargs)

        patch(self.function, deadly)

    def _watch(self, before: set[Path]) -> None:
        # delta-rs commits two milliseconds after it wrote its file.
        while self._files() <= before:
            time.sleep(0.0001)
        die(self.alone)

    def _files(self) -> set[Path]:
        return set(Path(self.folder).glob(self.pattern))


@dataclass(frozen=True)
class InDbt:
    """A fault in the process of dbt that a run begins; it dies with the run, and the run with it."""

    fault: Fault

    def plant(self) -> None:
        told = pickle.dumps(self.fault).hex()
        planted = [sys.executable, "-m", "tests.faults.dbt_process", told]
        patch("data_platform.gold.builder:_command", lambda original, fd: [*planted, original(fd)[-1]])


@dataclass(frozen=True)
class MeetAt:
    """Waits at a function's first call until another run, planted with the same folder, has come there too."""

    function: str
    folder: Path

    def plant(self) -> None:
        calls = count(1)

        def waiting(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if next(calls) == 1:
                self._wait()
            return original(*args, **kwargs)

        patch(self.function, waiting)

    def _wait(self) -> None:
        (self.folder / str(os.getpid())).touch()
        deadline = time.monotonic() + PATIENCE
        while len(list(self.folder.iterdir())) < 2:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no other run came to {self.function} within {PATIENCE:.0f} s")
            time.sleep(0.002)


@dataclass(frozen=True)
class Constant:
    """Gives a constant of a module (`module:NAME`) another value."""

    name: str
    value: Any

    def plant(self) -> None:
        module, _, name = self.name.partition(":")
        setattr(resolve_name(module), name, self.value)


def patch(function: str, wrapper: Callable[..., Any]) -> None:
    """Put the wrapper, which is given the original first, in a function's place."""
    path, _, name = function.rpartition(".")
    if ":" in name:
        path, _, name = function.partition(":")
    owner = resolve_name(path)
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **kwargs: wrapper(original, *args, **kwargs))
