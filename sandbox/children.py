"""Servers that run as processes of their own: a port for one, and the end of one that outlived an earlier sandbox."""

import fcntl
import os
import secrets
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from threading import Lock

ENDS_WITHIN = 30.0
LEAVES_WITHIN = 30.0

# Below those that the system gives to connections: one of those would be taken while its server still starts.
PORTS = range(10_000, 19_000)
# Another's: a port that is to be kept may not be taken by a passing server while the one that keeps it is down.
KEPT_PORTS = range(20_000, 32_000)
# A server listens only some time after it was given its port, and others start beside it: a port that was given is
# locked for as long as this process lives, so that no other process gives it to a server of its own.
_given: dict[int, int] = {}
_giving = Lock()


def kept_port(wished: int = 0) -> int:
    """The wished port where it is free, or else one that no passing server takes while its own is down."""
    return free_port(wished, KEPT_PORTS)


def free_port(wished: int = 0, ports: range = PORTS) -> int:
    """The wished port where it is free, or else one that is."""
    if wished and _becomes_free(wished):
        return wished
    # Servers start in threads, and what one of them is about to be given looks free to the others.
    with _giving:
        port = 0
        while not port or not _is_given(port):
            port = secrets.choice([other for other in ports if other not in _given])
    return port


def _becomes_free(port: int) -> bool:
    """Who had it last may be on the way out."""
    deadline = time.monotonic() + LEAVES_WITHIN
    while not (is_free := _is_given(port)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_free


def _is_given(port: int) -> bool:
    """Locked by this process, now or before, and free."""
    if port not in _given:
        locks = Path(gettempdir()) / f"sandbox-ports-{os.getuid()}"
        locks.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(locks / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        _given[port] = lock
    return _is_free(port)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def end_leftover(pid_file: Path, folder: Path, how: signal.Signals = signal.SIGKILL) -> None:
    """Ends the process that serves `folder` since its parent was killed; one that has taken its number is let be."""
    _end_leftover(pid_file, folder, how)
    # A server would take one that nobody has buried yet for alive.
    pid_file.unlink(missing_ok=True)


def _end_leftover(pid_file: Path, folder: Path, how: signal.Signals) -> None:
    try:
        process = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if not _serves(process, folder):
        return
    with suppress(ProcessLookupError):
        os.kill(process, how)
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
