"""Two loads of one source at once: they meet where each has rows to commit, or where each is to take the slot."""

from collections.abc import Sequence
from pathlib import Path

from tests.faults.launcher import MeetAt
from tests.faults.loads import Loads, Source, Versions
from tests.faults.result import Result
from tests.faults.two_runs import unclear

COMMIT = "deltalake:DeltaTable.create_write_transaction"
# Of two loads of one slot, the second is refused before it reads.
OFFER = "data_platform.bronze.load:_Load._offered"


def at_once(source: Source, folder: Path, meeting_point: str = COMMIT) -> list[Result]:
    """The first load, and that of a day's changes; then one that must find nothing more."""
    source.begin()
    versions = Versions(source)
    loads = Loads(folder / f"{source.name}-at-once", source)
    results: list[Result] = []
    for name in ("first load", "change"):
        if results:
            source.change(versions.note)
        versions.note()
        result = Result(f"{source.name}: two loads at once, {name}")
        together(loads, meeting_point, result)
        # Keys are compared by the load after one that began in the middle.
        if results:
            loads.must_run()
        result.difference = versions.differ(loads.lake)
        results.append(result)
    return results


def together(loads: Loads, meeting_point: str, result: Result) -> None:
    place = loads.home / f"meeting-{loads.runs}"
    place.mkdir()
    meeting = MeetAt(meeting_point, place)
    ended = [run.wait() for run in [loads.start(meeting) for _ in range(2)]]
    if all(each.code for each in ended):
        result.trouble.append("neither of the two loads ended well")
    result.trouble += [trouble for each in ended if (trouble := unclear(each))]


def of_all(sources: Sequence[Source], folder: Path) -> list[Result]:
    return [result for source in sources for result in at_once(source, folder)]
