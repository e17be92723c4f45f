"""The sandbox's servers as processes: started detached, asked how they are, told what to do, stopped.

Nothing here imports the servers, so that a command answers at once.
"""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.state import State, log_file

STARTS_WITHIN = 180.0
STOPS_WITHIN = 60.0
# A hundred days take minutes.
ANSWERS_WITHIN = 600.0


class SandboxError(Exception):
    """The sandbox can't do what was asked; the message says why and what to do."""


def ask(state: State, command: str, **arguments: Any) -> Any:
    """Sends a command to the running server and returns its answer."""
    trusted = ssl.create_default_context(cafile=state.authority)
    connection = http.client.HTTPSConnection("127.0.0.1", state.port, context=trusted, timeout=ANSWERS_WITHIN)
    try:
        connection.request("POST", f"/_sandbox/{command}", json.dumps(arguments))
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise SandboxError(f"the sandbox refused {command}: {answer['error']}")
    return answer


def running(state: State | None) -> dict[str, Any] | None:
    """What the remembered server says of itself, or None where none answers."""
    if state is None or not state.port:
        return None
    try:
        status: dict[str, Any] = ask(state, "status")
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return status if status["process"] == state.process else None


def start(state: State) -> State:
    """Starts the servers in a process of its own and waits until it answers."""
    state.with_(process=0)
    log = log_file()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.serving"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        current = State.load()
        if current and current.process == process.pid and running(current):
            return current
        if process.poll() is not None:
            raise SandboxError(f"the sandbox did not start: {_last_words(log)}; all of it is in {log}")
        time.sleep(0.05)
    process.terminate()
    raise SandboxError(f"the sandbox did not answer within {STARTS_WITHIN:.0f} s; see {log}")


def _last_words(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def stop(state: State) -> None:
    """Ends the servers' process and waits until it is gone, and its servers with it."""
    os.kill(state.process, signal.SIGTERM)
    deadline = time.monotonic() + STOPS_WITHIN
    while _is_there(state.process):
        if time.monotonic() > deadline:
            raise SandboxError(f"process {state.process} still runs; end it with `kill -9 {state.process}`")
        time.sleep(0.05)
    state.with_(process=0)


def _is_there(process: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
