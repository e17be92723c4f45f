"""How a step of the set-up is taken: said aloud, skipped when up to date, and refused in plain words.

The steps themselves are in install.py.
"""

# ruff: noqa: S603, T201 - it starts the machine's own installers and talks to a person.
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = CHECKOUT / ".tools"
# A caller's own environment must not leak into this one, nor be changed by it.
FOREIGN = (
    "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "SPARK_HOME", "VIRTUAL_ENV",
    "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_USER",
    "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON",
)  # fmt: skip


class SetupError(Exception):
    """Something is missing that this script can't get; the message says what, and how to get it."""


def say(line: str) -> None:
    print(f"setup: {line}", flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    say(f"{what} …")
    begun = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - begun:.0f} s")


def fingerprint(*parts: str, files: Iterable[Path] = ()) -> str:
    # With the checkout's own place in it: an environment doesn't work from another folder.
    made_of = hashlib.sha256(os.fsencode(CHECKOUT))
    for part in parts:
        made_of.update(part.encode() + b"\0")
    for file in sorted(files):
        made_of.update(os.fsencode(file) + b"\0" + file.read_bytes() + b"\0")
    return made_of.hexdigest()


def is_stamped(stamp: Path, mark: str) -> bool:
    return stamp.is_file() and stamp.read_text() == mark


def own_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    if not os.access(Path.home(), os.W_OK):
        kept["UV_CACHE_DIR"] = str(TOOLS / "uv-cache")
    return kept


def run(command: list[str], what: str, told: dict[str, str] | None = None) -> None:
    environment = own_environment() | (told or {})
    ended = subprocess.run(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode:
        raise SetupError(f"{what} failed (exit code {ended.returncode}); the lines above say why")


def apt_install(packages: list[str], what: str, elsewhere: str) -> None:
    """Install with Debian's apt, or say what to install by hand."""
    if shutil.which("apt-get") is None:
        raise SetupError(f"{what} is missing, and there is no apt to install it with; {elsewhere}")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise SetupError(f"{what} is missing; as root: apt-get install {' '.join(packages)}")
        apt = ["sudo", *([] if sys.stdin.isatty() else ["-n"]), *apt]
    with step(f"{what}: apt-get install {' '.join(packages)}"):
        install = [*apt, "install", "-y", "--no-install-recommends", *packages]
        # Lists that are missing or old name packages that aren't there: ask again once.
        if subprocess.run(install, check=False).returncode:
            subprocess.run([*apt, "update"], check=False)
            if subprocess.run(install, check=False).returncode:
                raise SetupError(f"{what} is missing and apt could not install it (see above); {elsewhere}")
