"""How soon a change is in silver while Dagster's daemon runs: DynamoDB's stream, its sensor, and the run it asks for.

A run is a process and starts its own Spark session; both are in the figures. The company's Kafka topics are followed
by the same daemon, all of them in each tick of their sensor. Ticks are timed as the daemon notes them: those that find
nothing to do, and those that ask for a run.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from statistics import median
from typing import Any

import dagster as dg

from benchmarks.result import Result
from benchmarks.turns import CHECKOUT, OWN_SETTINGS, empty_folder
from data_platform.automation.dynamodb import DYNAMODB_SENSOR
from data_platform.automation.kafka import KAFKA_SENSOR
from data_platform.connectors.kafka.position import Reached
from data_platform.lake.tables import Lake
from data_platform.silver.user_campaign_progress import USER_CAMPAIGN_PROGRESS
from data_platform.sources.kafka import TABLES as TOPICS
from sandbox.dynamodb.server import DynamoDBServer
from sandbox.dynamodb.tables import CampaignTables
from sandbox.kafka.server import KafkaServer
from sandbox.kafka.topics import Topics
from sandbox.world.campaigns import Campaigns
from sandbox.world.company import Sizes, World
from sandbox.world.events import Streams

ROUNDS = 3
LIMIT = 60.0
GIVEN_UP_AFTER = 300.0
TABLE = "user_Campaign"


def measure() -> Result:
    world = World(sizes=Sizes(accounts=100, contacts=1_000, leads=20, opportunities=20))
    with DynamoDBServer() as server, KafkaServer() as broker, empty_folder() as home:
        tables = CampaignTables(server, Campaigns(world))
        tables.fill()
        topics = Topics(broker, Streams(world))
        topics.publish_until(0)
        sent = sum(topics.ends().values())
        with daemon(home, server.settings() | broker.settings() | {"TOKEN_KEY": token_hex(16)}):
            first = seconds_until(lambda: progress(home), "the first load of all")
            first_of_topics = seconds_until(lambda: landed(home) == sent, "what the topics hold to be landed")
            delays = [changed(tables, home, number) for number in range(1, ROUNDS + 1)]
            ticks = {name: tick_seconds(home, name) for name in (KAFKA_SENSOR, DYNAMODB_SENSOR)}
    return Result(
        name="sensors",
        unit="s",
        ours=median(delays),
        limit=LIMIT,
        rows=len(tables.campaigns.rows[TABLE]),
        details={
            "seconds_from_change_to_silver": delays,
            "slowest": max(delays),
            "seconds_of_the_first_load": first,
            "seconds_of_the_topics_first_load_after_it": first_of_topics,
            "topics": len(TOPICS),
            "messages": sent,
            "tick_seconds": {
                name: {"median": median(each), "slowest": max(each), "ticks": len(each)}
                for name, each in ticks.items()
            },
        },
    )


@contextmanager
def daemon(home: Path, settings: dict[str, str]) -> Iterator[None]:
    """Dagster's daemon over the platform's own definitions, as `make ui` runs it."""
    shutil.copy(CHECKOUT / "dagster.yaml", home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OWN_SETTINGS)}
    places = {"DATA_PLATFORM_HOME": str(home), "LAKE_URI": str(home / "lake"), "DAGSTER_HOME": str(home)}
    program = Path(sys.executable).parent / "dagster-daemon"
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "run", "-m", "data_platform.definitions"],
            cwd=CHECKOUT, env=environment | settings | places, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def progress(home: Path, mark: Decimal | None = None) -> list[dict[str, Any]]:
    """The rows of silver, or those that a change has marked."""
    table = Lake(str(home / "lake")).silver(USER_CAMPAIGN_PROGRESS.name)
    if not table.exists:
        return []
    marked = f"progress = {mark}" if mark is not None else "true"
    return table.query(f"select user_id, progress from held where not is_deleted and {marked}").to_pylist()


def landed(home: Path) -> int:
    """How many messages of all topics bronze has read, as its commits say."""
    held = [Lake(str(home / "lake")).bronze(table) for table in TOPICS]
    reached = [Reached.of(each.position) for each in held if each.exists and each.position]
    return sum(sum(each.offsets.values()) for each in reached)


def changed(tables: CampaignTables, home: Path, number: int) -> float:
    """Seconds from a change of one user's progress to where silver shows it, for all of the user's tasks."""
    held = tables.campaigns.rows[TABLE]
    spared = {key for keys in tables.campaigns.planted[TABLE].values() for key in keys}
    chosen = [key for key in sorted(held) if len(held[key]["progressDetails"]) > 1 and key not in spared]
    item, mark = held[chosen[number]], Decimal(number) / 8 + 33
    tasks = [task | {"progress": mark} for task in item["progressDetails"]]
    # Ticks come at their own pace; a change comes at any moment of it.
    time.sleep(3 * number)
    tables.put(TABLE, item | {"progressDetails": tasks})
    taken = seconds_until(lambda: len(progress(home, mark)) == len(tasks), f"change {number} to be in silver")
    print(f"  change {number}: {taken:.1f} s", flush=True)
    return taken


def seconds_until(is_there: Any, what: str) -> float:
    begun = time.monotonic()
    while not is_there():
        if time.monotonic() - begun > GIVEN_UP_AFTER:
            raise AssertionError(f"waited {GIVEN_UP_AFTER:.0f} s for {what}")
        time.sleep(0.2)
    return time.monotonic() - begun


def tick_seconds(home: Path, sensor: str) -> list[float]:
    """Of the sensor's ticks that have ended."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
    return [tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp]
