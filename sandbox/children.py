"""Servers that run as processes of their own: a port for one, and the end of one that outlived an earlier sandbox."""

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

ENDS_WITHIN = 30.0


def free_port(wished: int = 0) -> int:
    """The wished port where it is free, or else any that is."""
    try:
        with socket.create_server(("127.0.0.1", wished)) as listener:
            return int(listener.getsockname()[1])
    except OSError:
        return free_port()


def end_leftover(pid_file: Path, folder: Path) -> None:
    """Ends the process that serves `folder` since its parent was killed; one that has taken its number is let be."""
    try:
        process = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if not _serves(process, folder):
        return
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + ENDS_WITHIN
    while _serves(process, folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {process}, which an earlier sandbox left in {folder}, does not end")
        time.sleep(0.02)


def _serves(process: int, folder: Path) -> bool:
    try:
        return os.fsencode(folder) in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
