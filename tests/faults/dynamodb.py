"""DynamoDB: its load killed at every point, and what happens to a table, its stream and its shards meanwhile."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from data_platform.connectors.base import CredentialsRefused, QuotaReached
from sandbox.vendor import Instead
from tests.faults.disturbed import Case, Disturbed, Trouble, meet
from tests.faults.dynamodb_sources import DynamoDBs, UserCampaigns
from tests.faults.kills_sources import POINTS, TAKE, Point, kill_and_run_again, killed
from tests.faults.launcher import KillAt
from tests.faults.loads import Loads, Versions
from tests.faults.result import Result
from tests.faults.two_loads import at_once

TABLE = "user_Campaign"
OF_STREAMS = (
    Point(
        "its shards listed, nothing read",
        KillAt("data_platform.connectors.dynamodb.session:Session.shards", after=True),
    ),
)
# Where a trimmed stream is answered by a scan, and what was deleted unseen is found.
IN_A_SCAN_ANEW = (
    Point("in the middle of a scan anew", KillAt(TAKE, call=2), committed=1),
    Point(
        "a scan anew done, deletions not compared",
        KillAt("data_platform.connectors.dynamodb.connector:_Load._gone"),
        committed=None,
    ),
)

Does = Callable[[UserCampaigns], object]


def run() -> list[Result]:
    with TemporaryDirectory(prefix="faults-") as name, DynamoDBs() as dynamodbs:
        folder, source = Path(name), dynamodbs.campaigns
        return [
            *(
                killed(source, point, folder / f"point-{number}")
                for number, point in enumerate((*POINTS, *OF_STREAMS))
            ),
            *(
                killed_in_a_scan_anew(source, point, folder / f"anew-{number}")
                for number, point in enumerate(IN_A_SCAN_ANEW)
            ),
            *meet(source, TROUBLES, folder),
            *at_once(source, folder),
        ]


def killed_in_a_scan_anew(source: UserCampaigns, point: Point, home: Path) -> Result:
    """A day goes by, items are deleted, and the stream forgets all of it before the load that is killed."""
    result = Result(f"{source.name}: {point.name}")
    source.begin()
    versions = Versions(source)
    loads = Loads(home, source)
    versions.note()
    loads.must_run()
    source.change(versions.note)
    versions.note()
    source.streams.trim(TABLE)
    kill_and_run_again(loads, point, result)
    source.change(versions.note)
    versions.note()
    loads.must_run()
    result.difference = versions.differ(loads.lake, newest_alone=True)
    return result


def around_each_load(does: Does) -> Case:
    """It is told before the first load, and before the load of a day's changes."""

    def case(source: UserCampaigns, disturbed: Disturbed) -> None:
        does(source)
        disturbed.load()
        disturbed.change()
        does(source)
        disturbed.load()
        disturbed.change()

    return case


def while_changes_are_read(happens: Does, newest_alone: bool = False) -> Case:
    def case(source: UserCampaigns, disturbed: Disturbed) -> None:
        disturbed.newest_alone = newest_alone
        disturbed.load()
        for _ in range(2):
            disturbed.change()
            disturbed.load(lambda: happens(source))

    return case


def written_while_it_is_scanned(source: UserCampaigns, disturbed: Disturbed) -> None:
    # What is written meanwhile may be told by the scan and by the stream.
    disturbed.newest_alone = True
    disturbed.load(disturbed.change, after=1)
    disturbed.change()


def trimmed_between_loads(source: UserCampaigns, disturbed: Disturbed) -> None:
    disturbed.newest_alone = True
    disturbed.load()
    for _ in range(2):
        disturbed.change()
        source.streams.trim(TABLE)
        notes = disturbed.load().notes
        if not any("changes may be missing" in note for note in notes):
            raise AssertionError(f"the load does not say that changes may be missing, but {notes}")
        disturbed.change()


def made_anew(source: UserCampaigns, disturbed: Disturbed) -> None:
    disturbed.newest_alone = True
    disturbed.load()
    held = source.tables.campaigns.rows["user_Campaign"]
    for key in sorted(held)[:7]:
        del held[key]
    source.tables.drop("user_Campaign")
    source.tables.create("user_Campaign")
    source.tables.put_all("user_Campaign", held.values())
    disturbed.load()
    disturbed.change()


def refused(call: str, code: str, kind: type[Exception], says: str) -> Case:
    def case(source: UserCampaigns, disturbed: Disturbed) -> None:
        for _ in range(2):
            source.streams.fail_next(call, code, times=2)
            disturbed.fails(kind, says, http_retries=1)
            source.streams.forgive()
            disturbed.load()
            disturbed.change()

    return case


TROUBLES = (
    Trouble("it is written to while it is scanned", written_while_it_is_scanned),
    Trouble(
        "its stream throttles",
        around_each_load(lambda source: source.streams.fail_next("GetRecords", "LimitExceededException", 2)),
    ),
    Trouble(
        "its stream throttles on and on",
        refused(
            "GetShardIterator", "ProvisionedThroughputExceededException", QuotaReached, "The position stands"
        ),
    ),
    Trouble(
        "a right is missing",
        refused("DescribeStream", "AccessDeniedException", CredentialsRefused, "GetRecords are needed"),
    ),
    Trouble(
        "connections are cut",
        around_each_load(
            lambda source: source.streams.http.tell(Instead("POST /", way="cut", times=2, after=1))
        ),
    ),
    Trouble(
        "answers are cut off",
        around_each_load(
            lambda source: source.streams.http.tell(Instead("POST /", way="truncate", times=1, after=2))
        ),
    ),
    Trouble(
        "iterators expire while they are used",
        while_changes_are_read(lambda source: source.streams.expire_iterators()),
    ),
    Trouble(
        "shards split while they are read", while_changes_are_read(lambda source: source.streams.split(TABLE))
    ),
    Trouble("its stream is trimmed between loads", trimmed_between_loads),
    Trouble(
        "its stream is trimmed while it is read",
        while_changes_are_read(lambda source: source.streams.trim(TABLE), newest_alone=True),
    ),
    Trouble("the table is made anew", made_anew),
)
