"""The sandbox from the command line: up, moved on, down, and up again where it was."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

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
            timeout=60,
        )
        assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    yield run
    run("down")


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
    sandbox("up", "--scale", "0.1")
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
