"""A silver step reads what landed since, and writes rows and position in one commit, however it is cut off."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from data_platform.bronze.load import bronze_table
from data_platform.declarations import (
    DAILY,
    DATE,
    DECIMAL,
    ERROR,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    Personal,
    SourceTable,
    Window,
    days,
    holds,
    is_email,
    one_of,
    years,
)
from data_platform.lake.append import Appender
from data_platform.lake.errors import LakeError
from data_platform.lake.maintenance import Tended, tend_with_spark
from data_platform.lake.schema import connector_schema
from data_platform.lake.tables import APP_ID, Lake, LakeTable, Note
from data_platform.silver import step
from data_platform.silver.step import Refined, refine

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
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
        Column("Id", STRING, required=True),
        Column("Email", STRING, personal=Personal.EMAIL, rule=is_email(ERROR)),
        Column("Country", STRING, rule=one_of("Côte d'Ivoire", "AT", r"back\slash")),
        Column("ChangedAt", TIMESTAMP, required=True),
    ),
    description="Who we know.",
)
GOOD, BAD = "ann@example.com", "ann at example"


def land(lake, *rows: Mapping, table: SourceTable = PEOPLE) -> int:
    appender = Appender(bronze_table(table, lake))
    full = [{"ChangedAt": NOON, "_op": "upsert"} | dict(row) for row in rows]
    appender.write(pa.RecordBatch.from_pylist(full, schema=connector_schema(table)))
    return appender.commit(Note({"landed": appender.batch}))


def person(key: str, second: int, email: str | None = GOOD, **more) -> dict:
    return {"Id": key, "ChangedAt": NOON + timedelta(seconds=second), "Email": email} | more


def no_spark():
    raise AssertionError("a step without work started Spark")


def emails(table: LakeTable) -> dict[str, str]:
    held = table.fresh()
    return (
        {row["id"]: row["email"] for row in held.query("select id, email from held").to_pylist()}
        if held.exists
        else {}
    )


def commits(table: LakeTable) -> list[list[dict]]:
    log = sorted(Path(table.uri, "_delta_log").glob("*.json"))
    return [[json.loads(line) for line in commit.read_text().splitlines()] for commit in log]


@pytest.fixture
def silver(lake):
    return lake.silver(PEOPLE.silver_name)


@pytest.fixture
def quarantine(lake):
    return lake.silver_quarantine(PEOPLE.silver_name)


def test_a_step_reads_what_landed_since_and_a_quiet_one_starts_no_spark(lake, spark, silver, quarantine):
    land(lake, *(person(f"p{number}", 0) for number in range(5)))
    first = refine(lambda: spark, PEOPLE, lake)
    assert first == Refined(batch=1, rows=5, read=5, keys=5, merged=5, quarantined=0, deleted=0)
    assert first.says == "5 rows read, 5 keys: 5 merged (0 deleted), 0 quarantined"
    version = silver.fresh().version
    assert refine(no_spark, PEOPLE, lake) == Refined(batch=1, rows=5)
    assert silver.fresh().version == version
    assert not quarantine.fresh().exists

    land(
        lake,
        person("p1", 1, "new@example.com"),
        person("p1", 2, "newest@example.com"),
        person("p2", 3, _op="delete"),
    )
    land(lake, person("p9", 4))
    second = refine(lambda: spark, PEOPLE, lake)
    assert second == Refined(batch=2, rows=6, read=4, keys=3, merged=3, quarantined=0, deleted=1)
    rows = (
        silver.fresh()
        .query("select id, email, _batch, _source_batch, is_deleted from held order by id")
        .to_pylist()
    )
    assert [tuple(row.values()) for row in rows] == [
        ("p0", GOOD, 1, 1, False),
        ("p1", "newest@example.com", 2, 2, False),
        ("p2", GOOD, 2, 2, True),
        ("p3", GOOD, 1, 1, False),
        ("p4", GOOD, 1, 1, False),
        ("p9", GOOD, 2, 3, False),
    ]
    assert refine(no_spark, PEOPLE, lake).batch == 2

    creation, merge = (commits(silver)[place] for place in (0, -1))
    for batch, (reached, commit) in enumerate([(1, creation), (3, merge)], start=1):
        (info,) = (action["commitInfo"] for action in commit if "commitInfo" in action)
        assert json.loads(info["userMetadata"])["position"] == {"bronze/crm/people": reached}
        assert [(each["txn"]["appId"], each["txn"]["version"]) for each in commit if "txn" in each] == [
            (APP_ID, batch)
        ]
    assert info["operation"] == "MERGE"


@dataclass(frozen=True)
class Maintained:
    """A lake whose silver and quarantine were tended after two steps, and what was there before."""

    lake: Lake
    rows: dict[str, dict[str, str]]
    files_on_disk: dict[str, int]
    tended: dict[str, Tended]

    @property
    def tables(self) -> list[LakeTable]:
        return [self.lake.silver(PEOPLE.silver_name), self.lake.silver_quarantine(PEOPLE.silver_name)]


@pytest.fixture(scope="module")
def maintained(tmp_path_factory, spark) -> Maintained:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    held = Maintained(lake, {}, {}, {})
    land(lake, person("a", 0), person("b", 0, BAD))
    refine(lambda: spark, PEOPLE, lake)
    land(lake, person("a", 1), person("c", 1, BAD), person("b", 1, BAD))
    refine(lambda: spark, PEOPLE, lake)
    for table in held.tables:
        held.rows[table.name] = emails(table)
        held.files_on_disk[table.name] = len(files_of(table))
        held.tended[table.name] = tend_with_spark(
            spark, table.fresh(), PEOPLE.silver_key, keep_replaced=timedelta(0)
        )
    return held


def files_of(table: LakeTable) -> list[Path]:
    return list(Path(table.uri).glob("*.parquet"))


def test_maintenance_with_spark_keeps_rows_batch_and_position(maintained):
    for table in maintained.tables:
        tended = maintained.tended[table.name]
        assert len(files_of(table)) == tended.files_after == 1
        gone = maintained.files_on_disk[table.name] + (tended.files_before > 1) - 1
        assert tended.deleted == gone > 0
        held = table.fresh()
        assert (held.batch, dict(held.position)) == (2, {"bronze/crm/people": 2})
        assert emails(held) == maintained.rows[table.name]
        assert Path(table.uri, "_delta_log", "_last_checkpoint").exists()
    assert refine(no_spark, PEOPLE, maintained.lake).batch == 2


def test_no_personal_value_is_in_any_log_of_silver(maintained):
    for table in maintained.tables:
        added = [action["add"] for commit in commits(table) for action in commit if "add" in action]
        assert added
        for add in added:
            said = json.loads(add["stats"])
            told = {*said.get("minValues", ()), *said.get("maxValues", ()), *said.get("nullCount", ())}
            assert told <= {"id", "changed_at", "_source_batch", "_batch"}
        log = Path(table.uri, "_delta_log")
        written = [file.read_bytes() for file in log.rglob("*.*")]
        assert not any(b"ann@" in content or b"ann at" in content for content in written)


@pytest.mark.parametrize("first", [True, False], ids=["a first load", "a change"])
def test_a_step_cut_off_between_quarantine_and_silver_goes_on_without_loss(
    lake, spark, silver, quarantine, monkeypatch, first
):
    if not first:
        land(lake, person("a", 0), person("b", 0, BAD))
        refine(lambda: spark, PEOPLE, lake)
    land(
        lake,
        person("a", 1, "new@example.com"),
        person("b", 1),
        person("c", 1, BAD),
        {"Id": None, "Email": GOOD},
    )
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(step, "write_silver", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        refine(lambda: spark, PEOPLE, lake)
    assert emails(silver) == ({} if first else {"a": GOOD})
    assert emails(quarantine) == {"c": BAD, None: GOOD}
    refined = refine(lambda: spark, PEOPLE, lake)
    assert (refined.merged, refined.quarantined) == (2, 2)
    assert emails(silver) == {"a": "new@example.com", "b": GOOD}
    assert emails(quarantine) == {"c": BAD, None: GOOD}
    assert quarantine.fresh().rows == 2
    assert dict(silver.fresh().position) == {"bronze/crm/people": 1 if first else 2}


@pytest.mark.parametrize("first", [True, False], ids=["a first load", "a change"])
def test_of_two_steps_at_once_both_end_with_the_same_content(lake, spark, silver, monkeypatch, first):
    if not first:
        land(lake, person("a", 0))
        refine(lambda: spark, PEOPLE, lake)
    land(lake, person("a", 1, "new@example.com"), person("b", 1))
    write = step.write_silver

    def after_the_other(*arguments):
        monkeypatch.setattr(step, "write_silver", write)
        land(lake, person("c", 2))
        refine(lambda: spark, PEOPLE, lake)
        write(*arguments)

    monkeypatch.setattr(step, "write_silver", after_the_other)
    refined = refine(lambda: spark, PEOPLE, lake)
    assert emails(silver) == {"a": "new@example.com", "b": GOOD, "c": GOOD}
    assert refined.batch == silver.fresh().batch == (1 if first else 2)
    assert dict(silver.fresh().position) == {"bronze/crm/people": 2 if first else 3}


def test_rows_that_are_all_kept_back_move_the_position_and_make_no_batch(lake, spark, silver, quarantine):
    land(lake, person("a", 0))
    refine(lambda: spark, PEOPLE, lake)
    land(lake, person("bad", 1, BAD))
    assert refine(lambda: spark, PEOPLE, lake).batch == silver.fresh().batch == 1
    assert dict(silver.fresh().position) == {"bronze/crm/people": 2}
    assert quarantine.fresh().rows == 1
    assert refine(no_spark, PEOPLE, lake).batch == 1
    land(lake, person("b", 2))
    assert refine(lambda: spark, PEOPLE, lake).batch == 2
    assert emails(silver) == {"a": GOOD, "b": GOOD}


def test_a_column_declared_later_widens_silver_and_takes_what_was_rescued(lake, spark, silver, quarantine):
    land(lake, person("a", 0), person("bad", 0, BAD))
    refine(lambda: spark, PEOPLE, lake)
    land(lake, person("b", 1, _rescued='{"Score":"12.5"}'), person("bad too", 1, BAD, _rescued='{"Score":7}'))
    wider = replace(PEOPLE, columns=(*PEOPLE.columns, Column("Score", DECIMAL(9, 2))))
    land(lake, person("c", 2, Score=Decimal("3.00")), table=wider)
    refine(lambda: spark, wider, lake)
    scores = silver.fresh().query("select id, score from held order by id").to_pylist()
    assert [tuple(row.values()) for row in scores] == [
        ("a", None),
        ("b", Decimal("12.50")),
        ("c", Decimal("3.00")),
    ]
    kept = quarantine.fresh().query("select id, score from held order by id").to_pylist()
    assert [tuple(row.values()) for row in kept] == [("bad", None), ("bad too", Decimal("7.00"))]
    assert dict(silver.fresh().position) == {"bronze/crm/people": 3}


ADS = SourceTable(
    system="google",
    name="ads",
    reads="ad_group_ad",
    key=("ad_group_ad.ad.id", "segments.date"),
    load=Window(day="segments.date", restated=days(30)),
    every=DAILY,
    owner="team:marketing",
    keep_for=years(3),
    columns=(
        Column("ad_group_ad.ad.id", STRING, required=True, silver="ad_id"),
        Column("segments.date", DATE, required=True, silver="date"),
        Column("metrics.clicks", INTEGER, silver="clicks"),
        Column("metrics.impressions", INTEGER, silver="impressions"),
    ),
    rules=(
        holds(
            "clicks_within_impressions",
            "{metrics.clicks} <= {metrics.impressions}",
            "no more clicks than seen",
            ERROR,
        ),
    ),
    description="What each ad brought on each day.",
)


def test_names_with_dots_two_keys_and_restated_days_are_conformed(lake, spark):
    def day(ad: str, number: int, clicks: int, impressions: int = 9) -> dict:
        named = {"metrics.clicks": clicks, "metrics.impressions": impressions}
        return {"ad_group_ad.ad.id": ad, "segments.date": date(2026, 6, number), "_op": "upsert"} | named

    def land_days(*rows: dict) -> None:
        appender = Appender(bronze_table(ADS, lake))
        appender.write(pa.RecordBatch.from_pylist(list(rows), schema=connector_schema(ADS)))
        appender.commit(Note({"landed": appender.batch}))
        refine(lambda: spark, ADS, lake)

    land_days(day("x", 1, 3), day("x", 2, 4), day("y", 1, 9, 8))
    land_days(day("x", 2, 5), day("x", 3, 10, 9))
    held = (
        lake.silver(ADS.silver_name)
        .query("select ad_id, date, clicks from held order by ad_id, date")
        .to_pylist()
    )
    assert [(row["ad_id"], row["date"].day, row["clicks"]) for row in held] == [("x", 1, 3), ("x", 2, 5)]
    kept = lake.silver_quarantine(ADS.silver_name).query("select ad_id, date, _reasons from held").to_pylist()
    assert sorted((row["ad_id"], row["date"].day) for row in kept) == [("x", 3), ("y", 1)]
    assert {reason for row in kept for reason in row["_reasons"]} == {"clicks_within_impressions"}

    land_days(day("y", 1, 7, 8), day("x", 1, 4))
    quarantine = lake.silver_quarantine(ADS.silver_name)
    assert [row["ad_id"] for row in quarantine.query("select ad_id from held").to_pylist()] == ["x"]
    assert lake.silver(ADS.silver_name).rows == 3


def test_values_to_choose_from_are_taken_as_they_are_written(lake, spark, silver):
    land(
        lake,
        *(
            person(country, 0, Country=country)
            for country in ("Côte d'Ivoire", r"back\slash", "Cote dIvoire")
        ),
    )
    refine(lambda: spark, PEOPLE, lake)
    held = silver.query("select id, _warnings from held").to_pylist()
    assert {row["id"]: row["_warnings"] for row in held} == {
        "Côte d'Ivoire": [],
        r"back\slash": [],
        "Cote dIvoire": ["country_one_of"],
    }


def test_a_step_before_its_bronze_says_what_to_do(lake):
    with pytest.raises(
        LakeError, match=r"bronze/crm/people does not exist yet; materialize bronze/crm/people first"
    ):
        refine(no_spark, PEOPLE, lake)


def test_bronze_made_anew_is_told_and_not_taken_for_quiet(lake, spark, silver):
    for number in range(3):
        land(lake, person(f"p{number}", number))
    refine(lambda: spark, PEOPLE, lake)
    bronze = Path(lake.bronze(PEOPLE).uri)
    bronze.rename(bronze.with_name("people_of_before"))
    land(lake, person("new", 9))
    said = (
        r"silver/crm_people was brought up to batch 3 of bronze/crm/people, which has only 1.* move .* away"
    )
    with pytest.raises(LakeError, match=said):
        refine(no_spark, PEOPLE, lake)
    assert sorted(emails(silver)) == ["p0", "p1", "p2"]
