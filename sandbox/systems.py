"""The company's systems beside Salesforce, as `sandbox up` serves them.

Each keeps its port, its secrets and its data from one `up` to the next, and lives through the company's days.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from sandbox.children import kept_port
from sandbox.clevertap.server import CleverTapServer
from sandbox.dynamodb.server import DynamoDBServer
from sandbox.dynamodb.tables import CampaignTables
from sandbox.facebook.server import FacebookServer
from sandbox.google_ads.server import GoogleAdsServer
from sandbox.kafka.server import KafkaServer
from sandbox.kafka.topics import Topics
from sandbox.landing.appflow import AppFlowServer
from sandbox.landing.rates import published, rates_on
from sandbox.landing.zone import LandingFolder, land_object, land_rates
from sandbox.memory import Memory
from sandbox.mysql import server as mysql_server
from sandbox.mysql.app import Application
from sandbox.postgres import server as postgres_server
from sandbox.postgres.shop import ShopDatabase
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.warehouse import RawData
from sandbox.state import SYSTEM_NAMES
from sandbox.world.ads import AdWorld
from sandbox.world.campaigns import Campaigns
from sandbox.world.company import HISTORY, World
from sandbox.world.engagement import EngagementWorld
from sandbox.world.events import Streams
from sandbox.world.shop import Shop
from sandbox.world.subscriptions import Subscriptions
from sandbox.world.warehouse import Warehouse

# The database that tables are served in for those who have no lake.
REPORTING = "reporting"
# The tables that AppFlow has flows for, by their objects.
FLOWS = {"Account": "accounts", "Contact": "contacts", "Lead": "leads", "Opportunity": "opportunities"}


@dataclass(frozen=True)
class Served:
    """A system that listens: where, the platform's settings for it, and what a day in it is."""

    address: str
    settings: Mapping[str, str]
    live_a_day: Callable[[], None]


@dataclass(frozen=True)
class Place:
    """What a system comes back to: its folder, and what was kept of it."""

    folder: Path
    kept: dict[str, str]

    def keep(self, name: str, made: Callable[[], str]) -> str:
        if name not in self.kept:
            self.kept[name] = made()
        return self.kept[name]

    @property
    def port(self) -> int:
        """The one that it had, unless that is taken by now."""
        return self.port_of("port")

    def port_of(self, name: str) -> int:
        """The port of one of several servers."""
        port = kept_port(int(self.kept.get(name, 0)))
        self.kept[name] = str(port)
        return port


@contextmanager
def postgres(company: World, place: Place) -> Iterator[Served]:
    """The shop's database, and one that tables are served in."""
    folder = _reachable_by_postgres(place)
    postgres_server.end_leftover_in(folder)
    memory = Memory(place.folder / "shop.pickle", company)
    shop = memory.recall(Shop) if (folder / "data").exists() else None
    if shop is None:
        shutil.rmtree(folder / "data", ignore_errors=True)
    password = place.keep("password", lambda: token_hex(8))
    with postgres_server.PostgresServer(folder=folder, port=place.port, password=password) as server:
        database = ShopDatabase(server, shop or Shop(company))
        if shop is None:
            database.fill()
            server.create_database(REPORTING)
        settings = server.settings() | {"SERVED_POSTGRES_DSN": server.dsn_of(REPORTING)}
        live_a_day = memory.of(database.shop, database.live_a_day)
        yield Served(f"postgresql://127.0.0.1:{server.port}", settings, live_a_day)


def _reachable_by_postgres(place: Place) -> Path:
    """A folder that the server's account may go to, where it has one of its own: root's home is often closed to it."""
    place.folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in place.folder.parents):
        return place.folder
    folder = Path(place.keep("folder", partial(mkdtemp, prefix="sandbox-postgres-")))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def mysql(company: World, place: Place) -> Iterator[Served]:
    """The application's database."""
    memory = Memory(place.folder / "subscriptions.pickle", company)
    held = memory.recall(Subscriptions)
    mysql_server.end_leftover_in(place.folder)
    if held is None:
        shutil.rmtree(place.folder, ignore_errors=True)
    password = place.keep("password", lambda: token_hex(8))
    with mysql_server.MySQLServer(folder=place.folder, port=place.port, password=password) as server:
        application = Application(server, company, held)
        live_a_day = memory.of(application.subscriptions, application.advance)
        settings = server.settings() | {"MYSQL_CA_BUNDLE": str(server.ca_file)}
        yield Served(f"mysql://127.0.0.1:{server.port}", settings, live_a_day)


@contextmanager
def snowflake(company: World, place: Place) -> Iterator[Served]:
    """The warehouse account."""
    memory = Memory(place.folder / "warehouse.pickle", company)
    held = memory.recall(Warehouse)
    if held is None:
        shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True, exist_ok=True)
    password = place.keep("password", lambda: token_hex(8))
    with SnowflakeServer(folder=place.folder, port=place.port, password=password) as server:
        data = RawData(server, company, held)
        live_a_day = memory.of(data.warehouse, data.advance)
        yield Served(f"http://127.0.0.1:{server.port}", server.settings(), live_a_day)


@contextmanager
def facebook(company: World, place: Place) -> Iterator[Served]:
    ads = AdWorld(company.seed, now=company.now)
    server = FacebookServer(ads, port=place.port)
    server.token = place.keep("token", lambda: server.token)
    with server:
        yield Served(server.server.url, server.settings(), _following(company, ads))


@contextmanager
def google(company: World, place: Place) -> Iterator[Served]:
    ads = AdWorld(company.seed, now=company.now)
    server = GoogleAdsServer(ads, port=place.port)
    server.secrets = {name: place.keep(name, lambda made=made: made) for name, made in server.secrets.items()}  # type: ignore[misc]
    with server:
        yield Served(server.server.url, server.settings(), _following(company, ads))


@contextmanager
def clevertap(company: World, place: Place) -> Iterator[Served]:
    people = EngagementWorld(company.seed, now=company.now, company=company)
    # An account this small is computed at once.
    server = CleverTapServer(people, port=place.port, computing=0)
    server.passcode = place.keep("passcode", lambda: server.passcode)
    with server:
        yield Served(server.server.url, server.settings(), _following(company, people))


def _following(company: World, other: AdWorld | EngagementWorld) -> Callable[[], None]:
    """What is computed from the day alone has nothing to do but to know the day."""

    def live_a_day() -> None:
        other.now = company.now

    return live_a_day


@contextmanager
def landing(company: World, place: Place) -> Iterator[Served]:
    """The folder that the Lambda lands rates in, and AppFlow's flows, which write there when they are started."""
    zone = LandingFolder(place.folder)
    publish = partial(_publish_rates, zone, company)
    publish()
    with AppFlowServer(place.port) as appflow:
        for name, table in FLOWS.items():
            appflow.add(f"{table}-to-landing", partial(_export, zone, company, name, table))
        flows = {table: f"{table}-to-landing" for table in FLOWS.values()}
        settings = zone.settings() | appflow.settings() | {"APPFLOW_FLOWS": json.dumps(flows)}
        yield Served(str(zone.folder), settings, publish)


def _publish_rates(zone: LandingFolder, company: World) -> None:
    """A file for each day with rates of its own, from the beginning of the company's history to its today."""
    landed = {path.parent.relative_to(zone.folder).as_posix()[-10:] for path in zone.folder.rglob("USD.json")}
    day, today = (company.now - HISTORY - timedelta(days=company.day)).date(), company.now.date()
    while day <= today:
        if published(day) == day and f"{day:%Y/%m/%d}" not in landed:
            land_rates(zone, day, rates_on(day))
        day += timedelta(days=1)


def _export(zone: LandingFolder, company: World, name: str, table: str) -> int:
    """What a flow that runs does: the records that changed since the files that it wrote before."""
    moments = [int(path.stem) for path in (zone.folder / "raw/salesforce" / name).rglob("*.csv")]
    since, now = max(moments, default=0), company.clock
    rows = [row for row in company.truth(table) if since < _second(row["SystemModstamp"]) <= now]
    if rows:
        land_object(zone, name, company.now.date(), rows, file=str(now))
    return len(rows)


def _second(moment: datetime) -> int:
    return int(moment.timestamp())


@contextmanager
def kafka(company: World, place: Place) -> Iterator[Served]:
    """The cluster and its schema registry; the topics themselves say which messages they hold already."""
    port, registry_port = place.port, place.port_of("registry")
    password = place.keep("password", lambda: token_hex(16))
    with KafkaServer(place.folder, port, registry_port=registry_port, password=password) as server:
        topics = Topics(server, Streams(company))
        topics.publish_until(company.day)
        settings = server.settings() | {"TOKEN_KEY": place.keep("token_key", lambda: token_hex(32))}
        yield Served(server.address, settings, lambda: topics.publish_until(company.day))


@contextmanager
def dynamodb(company: World, place: Place) -> Iterator[Served]:
    """The app's campaigns."""
    memory = Memory(place.folder / "campaigns.pickle", company)
    held = memory.recall(Campaigns)
    if held is None:
        shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True, exist_ok=True)
    with DynamoDBServer(folder=place.folder, port=place.port) as server:
        tables = CampaignTables(server, held or Campaigns(company))
        if held is None:
            tables.fill()
        live_a_day = memory.of(tables.campaigns, tables.live_a_day)
        yield Served(server.url, server.settings(), live_a_day)


Opener = Callable[[World, Place], AbstractContextManager[Served]]
SYSTEMS: Mapping[str, Opener] = dict(
    zip(
        SYSTEM_NAMES,
        (postgres, mysql, snowflake, facebook, google, clevertap, landing, kafka, dynamodb),
        strict=True,
    )
)
