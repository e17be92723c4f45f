"""A server that runs on Java, from the jars that the set-up put below .tools: started, waited for, and ended, be it
with the process that started it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.children import end_leftover

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
STARTS_WITHIN = 120.0
STOPS_WITHIN = 20.0
# What makes a server start soon: no more of the JVM than it needs.
OPTIONS = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto", "-Xlog:disable")
# Half of the processor's time at the start; then several times as much for whoever encrypts a lot.
COMPILED_QUICKLY = "-XX:TieredStopAtLevel=1"


def jars(name: str) -> Path:
    """The folder of the jars that a server runs from."""
    folder = TOOLS / name
    if not folder.exists():
        raise RuntimeError(f"there is no {folder}; `make setup` fetches what its pom.xml names")
    return folder


def class_archive(name: str) -> Path:
    """A server's classes as a JVM has them in memory, written at set-up (class_archives.py): it starts in a third of
    the processor's time. A JVM to which the file does not fit passes over it."""
    return TOOLS / f"{name}-classes.jsa"


def java() -> str:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise RuntimeError("there is no java on this machine; `make setup` installs it")
    return found


class JavaServer:
    """One process, which is there when `answers` says so; it writes to `log`. `jars` names the folder that it runs
    from."""

    def __init__(
        self,
        jars: str,
        command: Sequence[str],
        *,
        log: Path,
        answers: Callable[[], bool],
        memory: str = "256m",
        compiled_well: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name = jars
        self._environment = {**os.environ, **(environment or {})}
        compiled = [] if compiled_well else [COMPILED_QUICKLY]
        archive = class_archive(jars)
        shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        self._command = [java(), *OPTIONS, *compiled, *shared, "-Xms64m", f"-Xmx{memory}", *command]
        self._log = log
        self._answers = answers
        self._pid_file = log.with_suffix(".pid")
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. One that an earlier process left in the folder is ended before."""
        end_leftover(self._pid_file, self._log.parent)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._pid_file.write_text(str(self._process.pid))
        self._watch = _end_with_us(self._process.pid)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(
                    f"the sandbox's {self._name} did not start; it wrote last:\n{self._log.read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Returns when it has ended; one that is not there is let be."""
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                # A process that ignores a signal hands that on to those that it starts.
                self._process.kill()
                self._process.wait()
            self._process = None


def _end_with_us(process: int) -> "subprocess.Popen[bytes]":
    """A shell that waits for the end of its input, which comes with the end of this process, however that ends."""
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", f"read _; kill -9 {process}"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
