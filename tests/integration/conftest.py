"""A Salesforce of its own for each test that asks for one, a bronze to load it into, and AWS by moto's server."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pyarrow as pa
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from data_platform.connectors.base import Offer, Part, ReadAgain
from data_platform.connectors.salesforce import Salesforce
from data_platform.declarations import SourceTable
from data_platform.settings import Settings
from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World


class Bronze:
    """What any loader does with offers: rows that did not land before, and the position, kept together."""

    def __init__(self, table: SourceTable, settings: Settings) -> None:
        self.table = table
        self.settings = settings
        self.rows: list[dict] = []
        self.position = None
        self.offered = self.read = self.landed = 0

    def load(self, killed_after: int | None = None) -> Offer:
        """One load; `killed_after` so many batches, of which those with a position were committed."""
        for attempt in range(4):
            try:
                return self._load_once(killed_after)
            except ReadAgain:
                if attempt == 3:
                    raise
        raise AssertionError

    def _load_once(self, killed_after: int | None) -> Offer:
        self.offered = self.read = self.landed = 0
        offer = Salesforce(self.settings).offer(self.table, self)
        pending: list[dict] = []
        for part in offer.parts:
            self.offered += part.offered
            seen = self._seen(part)
            for number, batch in enumerate(part.batches, start=1):
                rows = batch.rows.to_pylist()
                self.read += len(rows)
                pending += [row for row in rows if _mark(row, part.identity) not in seen]
                if killed_after:
                    self._commit(pending, batch.position)
                    pending = []
                    if number == killed_after:
                        part.batches.close()
                        return offer
        self.landed = len(pending)
        if pending or offer.renew:
            self._commit(pending, offer.position)
        return offer

    def _commit(self, rows: list[dict], position: dict) -> None:
        self.rows += rows
        self.position = position

    def _seen(self, part: Part) -> set[tuple]:
        if not part.may_repeat:
            return set()
        if part.since is None:
            return {_mark(row, part.identity) for row in self.newest().values()}
        cursor = self.table.load.cursor
        return {_mark(row, part.identity) for row in self.rows if row[cursor] >= part.since}

    def newest(self) -> dict[str, dict]:
        """Each key's newest row: what silver makes of bronze."""
        order = sorted(
            enumerate(self.rows), key=lambda placed: (placed[1][self.table.load.cursor], placed[0])
        )
        return {row["Id"]: row for _, row in order}

    def live(self) -> dict[str, dict]:
        return {key: row for key, row in self.newest().items() if row["_op"] == "upsert"}

    def live_keys(self) -> pa.Table:
        """As the lake's own query gives them: views of strings."""
        return pa.table({"Id": pa.array(self.live(), pa.string_view())})


def _mark(row: dict, identity: tuple[str, ...]) -> tuple:
    return tuple(row[name] for name in identity)


class Company:
    """A small company's Salesforce, and bronze tables that load from it."""

    def __init__(self, server: SalesforceServer) -> None:
        self.server = server
        self.control = server.control
        self.world = server.world

    def settings(self, **more: object) -> Settings:
        given = {name.lower(): value for name, value in self.server.settings().items()}
        return Settings(_env_file=None, **(given | more))

    def bronze(self, table: SourceTable, **settings: object) -> Bronze:
        return Bronze(table, self.settings(**settings))


@pytest.fixture
def company(short_waits: None) -> Iterator[Company]:
    world = World(sizes=Sizes(accounts=60, contacts=60, leads=700, opportunities=60))
    with SalesforceServer(world) as server:
        server.control.give_pages_of(200)
        yield Company(server)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries are as many as in life, and quick."""
    monkeypatch.setattr("data_platform.connectors.http.FIRST_WAIT", 0.01)
    monkeypatch.setattr("data_platform.connectors.salesforce.quota.FIRST_LOOK", 0.05)
    monkeypatch.setattr("data_platform.connectors.salesforce.bulk.FIRST_LOOK", 0.01)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A process of its own: some of delta-rs waits for S3 while it holds Python's lock.

    Each refused connection is tried again for as long as the process lives.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            session = requests.Session()
            patient = Retry(total=300, backoff_factor=0.05, backoff_max=0.2)
            session.mount("http://", HTTPAdapter(max_retries=patient))
            session.get(f"{url}/moto-api/data.json", timeout=30).raise_for_status()
            yield url
        finally:
            server.kill()
