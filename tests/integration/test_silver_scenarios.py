"""What silver makes of changes: each folder of tests/scenarios is one case, told in data.

`bronze.jsonl` is what lands, batch after batch; `silver.json` and `quarantine.json` are what must be held in the
end, in the columns that the case is about. The cases share one table, whose keys begin with the case's name.
"""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from data_platform.bronze.load import bronze_table
from data_platform.declarations import (
    BOOLEAN,
    DAILY,
    DATE,
    DECIMAL,
    ERROR,
    JSON,
    LIST,
    STRING,
    STRUCT,
    TIMESTAMP,
    Column,
    Incremental,
    Normalise,
    SourceTable,
    at_least,
    is_email,
    one_of,
    years,
)
from data_platform.lake import merge as merging
from data_platform.lake.append import Appender
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import Lake, Note
from data_platform.silver import step
from data_platform.silver.step import refine

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
CASES = sorted(folder.name for folder in SCENARIOS.iterdir())
# Of versions that land together only the newest is judged, so that no good one before a bad one is kept.
TOLD_BY_STEPS_ALONE = {"a_good_version_and_then_a_bad_one", "a_bare_tombstone_keeps_the_values"}

PEOPLE = SourceTable(
    system="crm",
    name="people",
    reads="Person",
    key=("Id",),
    load=Incremental(cursor="ChangedAt", overlap=timedelta(minutes=1)),
    every=DAILY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("Id", STRING, required=True, silver="person_id"),
        Column("Name", STRING),
        Column("Email", STRING, normalise=Normalise.LOWER, rule=is_email(ERROR)),
        Column("Country", STRING, normalise=Normalise.UPPER, rule=one_of("AT", "CH", "DE")),
        Column("Phone", STRING, normalise=Normalise.PHONE),
        Column("Revenue", DECIMAL(18, 2), rule=at_least(0)),
        Column("Joined", DATE),
        Column("Tags", LIST(STRING)),
        Column("Places", LIST(STRUCT(Column("city", STRING), Column("since", DATE)))),
        Column("Extra", JSON),
        Column("IsDeleted", BOOLEAN, silver=""),
        Column("ChangedAt", TIMESTAMP, required=True),
    ),
    description="Who we know.",
)


def told(case: str, name: str) -> list[dict]:
    file = SCENARIOS / case / name
    if not file.exists():
        return []
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    return json.loads(file.read_text())


def land(lake: Lake, batch: int) -> None:
    """The rows of one batch of every case."""
    appender = Appender(bronze_table(PEOPLE, lake))
    rows = [
        as_landed(case, row) for case in CASES for row in told(case, "bronze.jsonl") if row["_batch"] == batch
    ]
    appender.write(pa.RecordBatch.from_pylist(rows, schema=connector_schema(PEOPLE)))
    appender.commit(Note({"batch": batch}))


def as_landed(case: str, row: dict) -> dict:
    landed = {"_op": "upsert", "_origin": case} | row
    landed["Id"] = row["Id"] and f"{case}: {row['Id']}"
    landed["ChangedAt"] = row["ChangedAt"] and datetime.fromisoformat(row["ChangedAt"])
    if row.get("Revenue"):
        landed["Revenue"] = Decimal(row["Revenue"])
    for place in row.get("Places") or ():
        place["since"] = place["since"] and date.fromisoformat(place["since"])
    return landed


def plain(value):
    """As a case writes it."""
    match value:
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case list():
            return [plain(each) for each in value]
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case _:
            return value


def content(table) -> dict[str, list[dict]]:
    """The rows of every case; those without a key belong to the one case that is about them."""
    rows = {case: [] for case in CASES}
    for row in map(plain, table.query("select * from held").to_pylist()):
        case, _, key = (row["person_id"] or "rows_without_a_key: ").partition(": ")
        rows[case].append(row | {"person_id": key or None})
    return rows


def refined(lake: Lake, spark) -> dict[str, dict[str, list[dict]]]:
    refine(lambda: spark, PEOPLE, lake)
    return {
        "silver.json": content(lake.silver(PEOPLE.silver_name)),
        "quarantine.json": content(lake.silver_quarantine(PEOPLE.silver_name)),
    }


@pytest.fixture(scope="module", params=[step.FEW, 0], ids=["few rows", "many rows"])
def by_steps(tmp_path_factory, spark, request):
    """Each batch refined when it has landed, here or by Spark."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    with pytest.MonkeyPatch.context() as patch:
        for module in (step, merging):
            patch.setattr(module, "FEW", request.param)
        for batch in (1, 2, 3):
            land(lake, batch)
            held = refined(lake, spark)
    return held


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, spark):
    """All batches refined in one step."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    for batch in (1, 2, 3):
        land(lake, batch)
    return refined(lake, spark)


def agrees(held: dict[str, dict[str, list[dict]]], case: str) -> None:
    for name in ("silver.json", "quarantine.json"):
        expected, found = sorted(told(case, name), key=place), sorted(held[name][case], key=place)
        assert [row["person_id"] for row in found] == [row["person_id"] for row in expected], name
        for row, wanted in zip(found, expected, strict=True):
            assert {column: row[column] for column in wanted} == wanted, name


def place(row: dict) -> tuple[str, str]:
    """By key; rows that have none, by name."""
    return row["person_id"] or "", "" if row["person_id"] else row["name"]


@pytest.mark.parametrize("case", CASES)
def test_refined_step_by_step_silver_holds_what_the_case_tells(by_steps, case):
    agrees(by_steps, case)


@pytest.mark.parametrize("case", [case for case in CASES if case not in TOLD_BY_STEPS_ALONE])
def test_refined_at_once_silver_holds_the_same(at_once, case):
    agrees(at_once, case)


def test_every_case_is_told_whole():
    assert len(CASES) > 10
    for case in CASES:
        assert told(case, "bronze.jsonl"), case
        assert told(case, "silver.json") or told(case, "quarantine.json"), case


def test_each_row_is_held_once(by_steps, at_once):
    for held in (by_steps, at_once):
        for case in CASES:
            keys = [row["person_id"] for row in held["silver.json"][case]]
            assert len(keys) == len(set(keys)), case
            assert None not in keys, case
