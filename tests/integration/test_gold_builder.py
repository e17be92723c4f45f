"""dbt's own process: ready ahead, gone with whoever began it, and begun again where it is lost."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from data_platform.gold.builder import Builder, BuilderLost
from data_platform.settings import CHECKOUT, Settings

CALENDAR = ["--no-write-json", "build", "--select", "dim_dates"]
PATIENCE = 60.0
BEGUN = """
import time
from pathlib import Path
from data_platform.gold.builder import Builder
from data_platform.settings import Settings

with Builder(Settings(data_platform_home=Path({home!r}))) as builder:
    print(builder._process.pid, flush=True)
    time.sleep(1_000)
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(data_platform_home=tmp_path / "home", lake_uri="")


def is_running(process: int) -> bool:
    """A process that has ended, and that nobody has asked about yet, runs no more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_ended(process: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(process)


def test_builds_follow_each_other_and_say_what_they_print_to_who_asks(settings, capfd):
    with Builder(settings) as builder:
        process = builder._process.pid
        for _ in range(2):
            built = builder.build(CALENDAR)
            assert built.success, built.trouble
            assert {result["data"]["node_info"]["node_name"] for result in built.results} == {
                "dim_dates",
                "dim_dates_is_unique",
            }
            assert "dim_dates" in capfd.readouterr().out
        assert builder._process.pid == process
    assert not is_running(process)
    with duckdb.connect(str(settings.duckdb_building)) as warehouse:
        ((days,),) = warehouse.execute("select count(*) from core.dim_dates").fetchall()
    assert days > 365


def test_a_build_that_fails_names_what_failed(settings):
    with Builder(settings) as builder:
        built = builder.build(["build", "--select", "stg_salesforce__leads"])
        assert not built.success
        assert [(each.name, each.is_error) for each in built.failed] == [("stg_salesforce__leads", True)]
        assert "salesforce_leads" in built.failed[0].message
        wrong = builder.build(["build", "--no-such-option"])
    assert (wrong.success, wrong.failed) == (False, [])
    assert "--no-such-option" in wrong.trouble


def test_a_process_that_is_lost_in_a_build_is_said_to_be_and_begun_again(settings):
    with Builder(settings) as builder, ThreadPoolExecutor(1) as thread:
        process = builder._process.pid
        os.kill(process, signal.SIGSTOP)
        building = thread.submit(builder.build, CALENDAR)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(BuilderLost, match="built by the next attempt"):
            building.result(PATIENCE)
        assert builder.build(CALENDAR).success
        assert builder._process.pid != process


def test_it_ends_with_whoever_began_it(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", BEGUN.format(home=str(tmp_path / "home"))],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    ) as beginning:
        process = int(beginning.stdout.readline())
        assert is_running(process)
        beginning.kill()
    assert has_ended(process)
