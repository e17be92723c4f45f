"""The sandbox from the command line: up, moved on, down, and up again where it was."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg2
import pymysql
import pytest
import requests

from data_platform.connectors.kafka.cluster import Cluster
from data_platform.settings import Settings
from data_platform.sources.kafka import TABLES as TOPICS
from sandbox.snowflake.server import SnowflakeServer
from sandbox.state import SYSTEM_NAMES, State
from sandbox.systems import SYSTEMS

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sandbox(tmp_path):
    def run(*arguments, fails=False):
        ended = subprocess.run(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=CHECKOUT,
            env=os.environ | {"DATA_PLATFORM_HOME": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    yield run
    run("down")
    # PostgreSQL's own account can't go to root's folders.
    state = json.loads((tmp_path / "sandbox" / "state.json").read_text())
    # `down` is back when nobody answers, and a database may still be tidying up then.
    shutil.rmtree(state["kept"].get("postgres", {}).get("folder", tmp_path), ignore_errors=True)


def written(tmp_path):
    lines = (tmp_path / "sandbox" / "sandbox.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def lead_count(settings):
    session = requests.Session()
    session.trust_env, session.verify = False, settings["SALESFORCE_CA_BUNDLE"]
    form = {
        "grant_type": "refresh_token",
        "client_id": settings["SALESFORCE_CLIENT_ID"],
        "client_secret": settings["SALESFORCE_CLIENT_SECRET"],
        "refresh_token": settings["SALESFORCE_REFRESH_TOKEN"],
    }
    url = settings["SALESFORCE_LOGIN_URL"]
    token = session.post(f"{url}/services/oauth2/token", data=form).json()["access_token"]
    query = {"q": "SELECT COUNT() FROM Lead"}
    headers = {"Authorization": f"Bearer {token}"}
    answer = session.get(f"{url}/services/data/v58.0/queryAll", params=query, headers=headers)
    return answer.json()["totalSize"]


def test_the_sandbox_comes_up_moves_on_and_comes_back_as_it_was(sandbox, tmp_path):
    assert "is not up" in sandbox("status", fails=True)
    sandbox("up", "--scale", "0.1", "--systems", "none")
    settings = written(tmp_path)
    assert lead_count(settings) == 500
    assert stat.S_IMODE((tmp_path / "sandbox" / "sandbox.env").stat().st_mode) == 0o600
    assert "is up already" in sandbox("up")
    assert "another company" in sandbox("up", "--seed", "5", fails=True)

    sandbox("advance")
    assert lead_count(settings) == 505
    assert "no command 'explode'" in sandbox("misbehave", "explode", fails=True)
    sandbox("misbehave", "fail_next", "status=503", "times=3", "path=*/query")
    assert "misbehaviours to come │ 3" in sandbox("status")

    sandbox("down")
    sandbox("up")
    assert written(tmp_path) == settings
    assert lead_count(settings) == 505
    assert "day 1" in sandbox("status")


def counts(settings):
    """How many rows each database holds, and when one was changed last."""
    with psycopg2.connect(settings["POSTGRES_DSN"]) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*), max(updated_at) from customers")
        customers = dict(zip(("rows", "changed"), cursor.fetchone(), strict=True))
    dsn = urlsplit(settings["MYSQL_DSN"])
    application = pymysql.connect(
        host=dsn.hostname, port=dsn.port, user=dsn.username, password=dsn.password, database=dsn.path[1:]
    )
    with application, application.cursor() as cursor:
        cursor.execute("select count(*), max(updated_at) from subscriptions")
        subscriptions = dict(zip(("rows", "changed"), cursor.fetchone(), strict=True))
    with SnowflakeServer.cursor(SimpleNamespace(**warehouse(settings))) as cursor:
        cursor.execute("select count(*), max(updated_at) from RAW_DATA.PUBLIC.CUSTOMER_ORDERS")
        orders = dict(zip(("rows", "changed"), cursor.fetchone(), strict=True))
    return {
        "customers": customers,
        "subscriptions": subscriptions,
        "orders": orders,
        "messages": messages(settings),
    }


def messages(settings):
    """How many there are in the topics; each that was sent is a change."""
    kafka = {name.lower(): value for name, value in settings.items() if name.startswith("KAFKA_")}
    cluster = Cluster(Settings(_env_file=None, **kafka))
    ends = sum(cluster.ends(cluster.topics([table.reads for table in TOPICS]).values()).values())
    return {"rows": ends, "changed": ends}


def warehouse(settings):
    return {"port": int(settings["SNOWFLAKE_PORT"]), "password": settings["SNOWFLAKE_PASSWORD"]}


def rates(settings):
    return len(list(Path(settings["LANDING_URI"]).rglob("USD.json")))


def test_every_system_keeps_its_address_and_its_data_when_the_sandbox_is_killed(sandbox, tmp_path):
    sandbox("up", "--scale", "0.1")
    settings, begun = written(tmp_path), counts(written(tmp_path))
    status = sandbox("status")
    assert all(f"│ {name} " in status for name in SYSTEM_NAMES)
    sandbox("advance", "--days", "2")
    lived = counts(settings)
    assert all(lived[name]["changed"] > begun[name]["changed"] for name in begun)
    published = rates(settings)

    os.kill(State(**json.loads((tmp_path / "sandbox" / "state.json").read_text())).process, signal.SIGKILL)
    sandbox("up")
    assert written(tmp_path) == settings
    assert counts(settings) == lived
    assert rates(settings) == published
    sandbox("advance")
    assert counts(settings)["customers"] != lived["customers"]


def test_only_the_systems_that_are_named_are_served(sandbox, tmp_path):
    assert "there is no system oracle" in sandbox("up", "--systems", "oracle", fails=True)
    sandbox("up", "--scale", "0.1", "--systems", "facebook,landing")
    served = {name.split("_")[0] for name in written(tmp_path)}
    assert served == {"SALESFORCE", "FACEBOOK", "LANDING", "AWS", "APPFLOW"}
    assert "other systems" in sandbox("up", "--systems", "none", fails=True)


def test_the_names_that_commands_know_are_those_that_are_served():
    assert tuple(SYSTEMS) == SYSTEM_NAMES
