"""What analysts see of gold while it is built: a whole state, whoever holds the file and wherever a build ends."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from data_platform.gold import readers
from data_platform.settings import Settings

# An analyst in a process of its own: opens the file, says what it sees, and looks again when it is told to.
ANALYST = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads") as held:
    for _ in sys.stdin:
        print(held.execute("select sum(amount), count(*) from crm.sales").fetchone(), flush=True)
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(_env_file=None, data_platform_home=tmp_path)


def build(settings: Settings, amount: int) -> None:
    """A build's work, in two transactions of which the first alone would be half a state."""
    readers.begin(settings)
    with duckdb.connect(str(settings.duckdb_building)) as gold:
        gold.execute("create schema if not exists crm")
        gold.execute("create or replace table crm.sales (amount integer)")
        gold.execute(f"insert into crm.sales select {amount} from range(10)")


def seen(file: Path) -> tuple:
    with duckdb.connect(str(file), read_only=True) as held:
        return held.execute("select sum(amount), count(*) from crm.sales").fetchone()


class Analyst:
    def __init__(self, file: Path, how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ANALYST, str(file), how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def looks(self) -> str:
        self._process.stdin.write("look\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def __enter__(self) -> "Analyst":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.mark.parametrize("how", ["reads", "may write"])
def test_an_analyst_who_holds_the_file_neither_blocks_a_build_nor_sees_it_half(settings, how):
    build(settings, 1)
    readers.publish(settings)
    with Analyst(settings.duckdb_file, how) as analyst:
        assert analyst.looks() == "(10, 10)"
        build(settings, 2)
        assert analyst.looks() == "(10, 10)"
        readers.publish(settings)
        # What was opened stays as it was; who opens the file now sees what was built.
        assert analyst.looks() == "(10, 10)"
        assert seen(settings.duckdb_file) == (20, 10)
    assert seen(settings.duckdb_file) == (20, 10)


def test_a_build_that_was_not_published_is_not_seen(settings):
    build(settings, 1)
    readers.publish(settings)
    build(settings, 2)
    assert seen(settings.duckdb_file) == (10, 10)
    readers.publish(settings)
    assert seen(settings.duckdb_file) == (20, 10)


@pytest.mark.parametrize("point", ["os.copy_file_range", "os.fsync", "pathlib.Path.replace"])
def test_a_kill_while_it_is_copied_leaves_the_state_before(settings, point):
    build(settings, 1)
    readers.publish(settings)
    build(settings, 2)
    dying = f"""
import os, pathlib, signal
from data_platform.gold import readers
from data_platform.settings import Settings
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
{point} = die
readers.publish(Settings(_env_file=None, data_platform_home={str(settings.home)!r}))
"""
    ended = subprocess.run([sys.executable, "-c", dying], env={**os.environ}, check=False)
    assert ended.returncode == -9
    assert seen(settings.duckdb_file) == (10, 10)

    readers.publish(settings)
    assert seen(settings.duckdb_file) == (20, 10)
    assert [path.name for path in settings.duckdb_file.parent.iterdir() if path.is_file()] == [
        "warehouse.duckdb"
    ]


def test_what_was_committed_and_not_yet_written_back_is_published_too(settings):
    killed = f"""
import duckdb, os, signal
held = duckdb.connect({str(settings.duckdb_building)!r})
held.execute("create schema crm")
held.execute("create table crm.sales as select 3 as amount from range(10)")
os.kill(os.getpid(), signal.SIGKILL)
"""
    readers.begin(settings)
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert settings.duckdb_building.with_name("warehouse.duckdb.wal").exists()
    readers.publish(settings)
    assert seen(settings.duckdb_file) == (30, 10)


def test_a_log_that_somebody_left_beside_the_file_does_not_spoil_the_next_state(settings):
    build(settings, 1)
    readers.publish(settings)
    settings.duckdb_file.with_name("warehouse.duckdb.wal").write_bytes(b"what a killed writer left")
    build(settings, 2)
    readers.publish(settings)
    assert seen(settings.duckdb_file) == (20, 10)


def test_gold_goes_on_from_what_analysts_see_where_the_platforms_own_file_is_gone(settings):
    build(settings, 1)
    readers.publish(settings)
    settings.duckdb_building.unlink()
    readers.begin(settings)
    assert seen(settings.duckdb_building) == (10, 10)
