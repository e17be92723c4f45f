"""What the Salesforce benchmarks share: the server, the question put to it, and whether all of it landed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import requests
from deltalake import DeltaTable, QueryBuilder

from benchmarks.served import said_by, served
from data_platform.sources.salesforce import LEADS

TABLE = "salesforce.leads"


@dataclass(frozen=True)
class Org:
    """A running server: the platform's settings for it, and what it holds."""

    server: subprocess.Popen[str]
    settings: dict[str, str]
    rows: dict[str, int]
    ids: int
    revenue: Decimal

    @property
    def leads(self) -> int:
        return self.rows["leads"]

    def change(self, mark: str) -> dict[str, int]:
        """Make one record in a hundred carry this mark; how many that were, by table."""
        assert self.server.stdin is not None
        print(mark, file=self.server.stdin, flush=True)
        return dict(said_by(self.server))

    @property
    def url(self) -> str:
        return self.settings["SALESFORCE_LOGIN_URL"]

    @property
    def ca_file(self) -> str:
        return self.settings["SALESFORCE_CA_BUNDLE"]

    def token(self) -> str:
        """For the peers, which are spared the login."""
        asked = {
            "grant_type": "refresh_token",
            "client_id": self.settings["SALESFORCE_CLIENT_ID"],
            "client_secret": self.settings["SALESFORCE_CLIENT_SECRET"],
            "refresh_token": self.settings["SALESFORCE_REFRESH_TOKEN"],
        }
        with requests.Session() as session:
            # Else a certificate bundle in the environment wins over the server's own.
            session.trust_env = False
            answer = session.post(
                f"{self.url}/services/oauth2/token", data=asked, verify=self.ca_file, timeout=30
            )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def check(self, folder: Path) -> None:
        """Refuse a load that did not land every lead once, with its revenue to the cent."""
        held = QueryBuilder().register("held", DeltaTable(str(folder)))
        asked = 'select count(*) as n, count(distinct "Id") as ids, sum("AnnualRevenue") as revenue from held'
        (landed,) = pa.table(held.execute(asked).read_all()).to_pylist()
        expected = {"n": self.leads, "ids": self.ids, "revenue": self.revenue}
        if landed != expected:
            raise AssertionError(f"{folder} holds {landed}; the server has {expected}")


@contextmanager
def org_with(leads: int | None = None, scale: float = 0.02) -> Iterator[Org]:
    """The sandbox's company `scale` times its usual size, with so many leads where they are given."""
    with served("benchmarks.serve", scale, *([leads] if leads else [])) as (server, said):
        truth = said["truth"]
        yield Org(server, said["settings"], truth["rows"], truth["ids"], Decimal(truth["revenue"]))


def question() -> str:
    """What the platform asks on a first load, but for its upper end, which the peers don't have."""
    fields = ", ".join(column.name for column in LEADS.columns)
    return f"SELECT {fields} FROM Lead ORDER BY SystemModstamp, Id"
