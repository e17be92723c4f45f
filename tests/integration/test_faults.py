"""The lighter part of `make faults`: a run that is killed loses nothing and doubles nothing."""

import pytest

from data_platform.bronze.load import load
from data_platform.connectors.salesforce import Salesforce
from data_platform.lake.tables import Lake
from data_platform.sources.salesforce import LEADS
from tests.faults import kills_bronze, kills_maintenance, kills_silver, kills_sources
from tests.faults.result import Difference
from tests.faults.undecodable import Undecoding

BRONZE = (
    "inside the read, after a commit",
    "inside a Bulk read",
    "data files written, not committed",
    "both committed, not reported",
)
SILVER = ("quarantine committed, silver not",)
MAINTENANCE = ("today's files put together, not committed", "yesterday in order, not committed")


def test_bronze_holds_every_version_once_wherever_it_was_killed():
    results = kills_bronze.run([point for point in kills_bronze.POINTS if point.name in BRONZE])
    assert [result.point for result in results if result.is_right] == list(BRONZE)
    assert sum(result.kills for result in results) == 2 * len(BRONZE)


def test_each_other_source_lands_every_version_once_when_its_load_was_killed_between_commits():
    with kills_sources.all_sources() as (sources, folder):
        results = [
            kills_sources.killed(source, point, folder / source.name)
            for source, points in sources
            for point in points
            if point.name == "inside the read, after a commit"
        ]
    assert len(results) == 9
    assert [result.as_dict() for result in results if not result.is_right] == []
    assert sum(result.kills for result in results) == 2 * len(results)


def test_silver_holds_every_record_once_when_it_was_killed_between_its_two_commits():
    points = [point for lake in kills_silver.LAKES for point in lake if point.name in SILVER]
    (result,) = kills_silver.run([points], loads=["first"])
    assert (result.kills, result.difference) == (1, Difference())


def test_a_record_that_can_not_be_decoded_goes_to_quarantine_once_however_often_it_is_read(company, tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    # All of them as late as the next load looks back.
    company.control.update("Lead", company.world.records("leads").ids, Rating="Hot")
    connector = Undecoding(Salesforce(company.settings()))
    first = load(LEADS, connector, lake, 200).receipt
    assert first.quarantined > 0
    again = load(LEADS, connector, lake, 200)
    assert again.receipt.overlap > 0
    assert (again.receipt.quarantined, again.batch) == (0, lake.bronze(LEADS).batch)
    assert lake.quarantine(LEADS).rows == first.quarantined


@pytest.mark.parametrize(
    ("held", "difference"),
    [
        ([{"id": 1, "a": 1}, {"id": 2, "a": 2}], Difference()),
        ([{"id": 1, "a": 1}], Difference(lost=1)),
        ([{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 2, "a": 2}], Difference(doubled=1)),
        ([{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3, "a": 3}], Difference(doubled=1)),
        ([{"id": 1, "a": 1}, {"id": 2, "a": 3}], Difference(differing=1)),
    ],
)
def test_a_comparison_tells_lost_doubled_and_differing_rows_apart(held, difference):
    expected = {1: {"a": 1}, 2: {"a": 2}}
    assert Difference.between(expected, held, lambda row: row["id"]) == difference


def test_every_row_is_there_once_wherever_maintenance_was_killed():
    points = [point for point in kills_maintenance.POINTS if point.name in MAINTENANCE]
    results = [result.as_dict() for result in kills_maintenance.run(points)]
    assert results == [
        {"point": name, "kills": 1, "lost": 0, "doubled": 0, "differing": 0} for name in MAINTENANCE
    ]
