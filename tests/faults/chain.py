"""The platform on a home of its own, run from outside, and killed there."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from data_platform.lake.tables import Lake
from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World
from tests.faults.launcher import Fault, Order, launch

PATIENCE = 300.0

_forks = multiprocessing.get_context("forkserver")
# The libraries alone: the definitions are made by each run, from its own settings.
_forks.set_forkserver_preload(
    [
        "tests.faults.launcher",
        "data_platform.bronze.assets",
        "data_platform.connectors.salesforce.connector",
        "data_platform.connectors.postgres.connector",
        "data_platform.connectors.mysql.connector",
        "data_platform.connectors.snowflake.connector",
        "data_platform.connectors.facebook.connector",
        "data_platform.connectors.google_ads.connector",
        "data_platform.connectors.clevertap.connector",
        "data_platform.connectors.kafka.connector",
        "data_platform.connectors.landing.appflow",
        "data_platform.silver.step",
        "data_platform.gold.assets",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (a signal's number, negated) and all that it said."""

    code: int
    said: str

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Run:
    """A run on its way."""

    def __init__(self, life: Callable[[], None], output: Path) -> None:
        self.output = output
        self.process: ForkServerProcess = _forks.Process(target=life, daemon=True)
        self.process.start()

    def wait(self, seconds: float = PATIENCE) -> Ended:
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(
                f"a run did not end within {seconds:.0f} s; the last it said: {self._said[-2000:]}"
            )
        return Ended(self.process.exitcode, self._said)

    def kill(self) -> None:
        """By force, at whatever it is doing, with its JVM."""
        os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.join()

    @property
    def _said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class Chain:
    """Bronze, silver and gold of one home, loaded from one server or from what has landed there."""

    def __init__(self, home: Path, server: SalesforceServer | None = None, **settings: object) -> None:
        self.home = home
        self.server = server
        self.settings = {name: str(value) for name, value in settings.items()}
        self.runs = 0
        dagster = home / "dagster"
        dagster.mkdir(parents=True, exist_ok=True)
        (dagster / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

    @property
    def lake(self) -> Lake:
        return Lake(self.environment["LAKE_URI"])

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATA_PLATFORM_HOME": str(self.home),
            "LAKE_URI": str(self.home / "lake"),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "SPARK_DRIVER_MEMORY": "1g",
            **(self.server.settings() if self.server else {}),
            **self.settings,
        }

    def start(self, select: str, *faults: Fault, **settings: object) -> Run:
        self.runs += 1
        more = {name: str(value) for name, value in settings.items()}
        output = self.home / f"run-{self.runs}.log"
        order = Order(select, self.environment | more, output, faults)
        return Run(partial(launch, order), output)

    def run(self, select: str, *faults: Fault, **settings: object) -> Ended:
        return self.start(select, *faults, **settings).wait()

    def must_run(self, select: str, *faults: Fault) -> Ended:
        ended = self.run(select, *faults)
        if ended.code != 0:
            raise AssertionError(f"a plain run of {select} failed:\n{ended.said[-6000:]}")
        return ended

    def must_be_killed(self, select: str, *faults: Fault) -> None:
        ended = self.run(select, *faults)
        if not ended.was_killed:
            raise AssertionError(
                f"the run of {select} never came to where it was to be killed, and ended with {ended.code}:\n"
                f"{ended.said[-6000:]}"
            )

    def copy(self, home: Path) -> "Chain":
        """The same state in another home."""
        shutil.copytree(self.home, home)
        return Chain(home, self.server, **self.settings)


@contextmanager
def company(sizes: Sizes) -> Iterator[tuple[SalesforceServer, Path]]:
    """A small company's Salesforce, and a folder for the homes of platforms that load from it."""
    with TemporaryDirectory(prefix="faults-") as folder, SalesforceServer(World(sizes=sizes)) as server:
        server.control.give_pages_of(100)
        yield server, Path(folder)
