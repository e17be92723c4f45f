"""Bad surroundings: each run has to end with an error that says what to do, and leave what was committed as it was.

Full and read-only disks are small ones of our own, which takes root; without, those two are passed over, aloud.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from rich.console import Console

from data_platform.sources.salesforce import LEADS
from sandbox.world.company import Sizes
from tests.faults.chain import Chain, Ended, company
from tests.faults.result import Result
from tests.faults.truth import Truth, bronze_differs, silver_differs

SIZES = Sizes(accounts=20, contacts=20, leads=300, opportunities=20)
BRONZE = 'key:"bronze/salesforce/leads"'
SILVER = 'key:"silver/salesforce_leads"'
WRONG = "a-wrong-secret"
DISK_BYTES = 24 << 20


@contextmanager
def full(lake: Path) -> Iterator[None]:
    filler = lake / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            yield
    filler.unlink()


@contextmanager
def read_only(lake: Path) -> Iterator[None]:
    remount(lake, "ro")
    yield
    remount(lake, "rw")


def a_file_instead_of(table: str) -> Callable[[Path], AbstractContextManager[None]]:
    @contextmanager
    def spoiled(lake: Path) -> Iterator[None]:
        folder, aside = lake / table, lake / "aside"
        folder.rename(aside)
        folder.touch()
        yield
        folder.unlink()
        aside.rename(folder)

    return spoiled


def corrupt_log_of(table: str) -> Callable[[Path], AbstractContextManager[None]]:
    @contextmanager
    def spoiled(lake: Path) -> Iterator[None]:
        newest = max((lake / table / "_delta_log").glob("*.json"))
        written = newest.read_bytes()
        newest.write_bytes(written[: len(written) // 2])
        yield
        newest.write_bytes(written)

    return spoiled


def nothing(_: Path) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Surrounding:
    """What is bad around a run, and what its error has to say."""

    name: str
    says: str
    bad: Callable[[Path], AbstractContextManager[None]] = nothing
    settings: Mapping[str, object] = field(default_factory=dict)
    needs_disk: bool = False


def disks(table: str) -> tuple[Surrounding, ...]:
    return (
        Surrounding("full disk", rf"{table}.*disk is full: free some space", full, needs_disk=True),
        Surrounding(
            "read-only disk", rf"{table}.*read-only: mount it for writing", read_only, needs_disk=True
        ),
        Surrounding("a file in the folder's place", rf"{table}.*move it away", a_file_instead_of(table)),
        Surrounding(
            "corrupt Delta log",
            rf"{table}.*Delta log can't be read: .*docs/operations",
            corrupt_log_of(table),
        ),
    )


ABOUT_BRONZE = (
    Surrounding(
        "wrong client secret",
        r"Salesforce at .* refused the login .*SALESFORCE_CLIENT_SECRET",
        settings={"SALESFORCE_CLIENT_SECRET": WRONG},
    ),
    Surrounding(
        "wrong refresh token",
        r"Salesforce at .* refused the login .*SALESFORCE_REFRESH_TOKEN",
        settings={"SALESFORCE_REFRESH_TOKEN": WRONG},
    ),
    Surrounding(
        "unreachable host",
        r"Salesforce could not be read: .*127\.0\.0\.1:1/.*took no connection.*run again",
        settings={"SALESFORCE_LOGIN_URL": "https://127.0.0.1:1", "HTTP_RETRIES": 1},
    ),
    *disks("bronze/salesforce/leads"),
)
ABOUT_SILVER = disks("silver/salesforce_leads")


def run() -> list[Result]:
    results = []
    with company(SIZES) as (server, folder), small_disk(folder / "lake") as is_disk:
        truth = Truth(server.world, LEADS)
        truth.note()
        chain = Chain(folder / "home", server, LAKE_URI=folder / "lake")
        chain.must_run(f"{BRONZE} or {SILVER}")
        server.control.update("Lead", server.world.records("leads").ids[:200], Rating="Hot")
        truth.note()
        for select, around in ((BRONZE, ABOUT_BRONZE), (SILVER, ABOUT_SILVER)):
            layer = "bronze" if select is BRONZE else "silver"
            for surrounding in around:
                if surrounding.needs_disk and not is_disk:
                    Console().print(f"{layer}, {surrounding.name}: passed over, since mounting takes root")
                    continue
                results.append(run_within(chain, select, surrounding, Result(f"{layer}, {surrounding.name}")))
            chain.must_run(select)
            differs = bronze_differs if select is BRONZE else silver_differs
            results.append(Result(f"{layer}, all mended", difference=differs(chain.lake, truth)))
    return results


def run_within(chain: Chain, select: str, surrounding: Surrounding, result: Result) -> Result:
    lake = Path(chain.lake.uri)
    with surrounding.bad(lake):
        before = committed(lake)
        ended = chain.run(select, **surrounding.settings)
        if committed(lake) != before:
            result.trouble.append("what was committed has changed")
    result.trouble += poor(ended, surrounding.says) + secrets_in(chain)
    return result


def poor(ended: Ended, says: str) -> list[str]:
    """What is wrong with how a run failed."""
    if ended.code == 0:
        return ["the run ended well"]
    before_any_stack = re.split(r"Traceback|Stack Trace|\tat |stacktrace", ended.said)[0]
    if re.search(says, before_any_stack):
        return []
    told = [line for line in ended.said.splitlines() if "Failure: " in line or "Error: " in line]
    return [f"before any stack, it does not say {says!r} but: {' / '.join(told)[:800]}"]


def secrets_in(chain: Chain) -> list[str]:
    """Everything that the platform and Dagster have written holds no secret."""
    credentials = chain.server.credentials
    secrets = (credentials.client_secret, credentials.refresh_token, WRONG)
    files = [file for file in chain.home.rglob("*") if file.is_file()]
    return [
        f"a secret is in {file.relative_to(chain.home)}"
        for file in files
        if any(secret.encode() in file.read_bytes() for secret in secrets)
    ]


def committed(lake: Path) -> dict[str, str]:
    """Every file of every log, and what is in it."""
    files = (file for file in lake.rglob("_delta_log/*") if file.is_file() and not file.name.startswith("."))
    return {str(file.relative_to(lake)): sha256(file.read_bytes()).hexdigest() for file in files}


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A file system of its own at this place, where that can be had."""
    place.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place], check=False
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", place], check=True)


def remount(place: Path, how: str) -> None:
    """Once the last writer's files are closed, which takes the system a moment after its end."""
    deadline = time.monotonic() + 10
    while subprocess.run(
        ["mount", "-o", f"remount,{how}", place], check=False, capture_output=True
    ).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{place} could not be mounted again as {how}: something still writes there")
        time.sleep(0.05)
