"""Checks count verdicts, judge them by what each rule allows, and show numbers alone."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_platform.checks.assets import freshness_checks, silver_checks
from data_platform.checks.scores import Quality, quality_of
from data_platform.declarations import (
    ERROR,
    HOURLY,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Dimension,
    Incremental,
    Personal,
    Rule,
    SourceTable,
    at_least,
    holds,
    is_email,
    not_null,
    years,
)
from data_platform.described import bronze_key, silver_key
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
from data_platform.settings import Settings

PEOPLE = SourceTable(
    system="crm",
    name="people",
    reads="Person",
    key=("Id",),
    load=Incremental(cursor="ChangedAt", overlap=timedelta(minutes=1)),
    every=HOURLY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("Id", STRING, required=True),
        Column("Email", STRING, personal=Personal.EMAIL, rule=is_email(ERROR)),
        Column(
            "Age",
            INTEGER,
            rule=(at_least(0), Rule("plausible", "{column} < 150", "is plausible", tolerance=0.1)),
        ),
        Column("ChangedAt", TIMESTAMP, required=True, rule=not_null()),
    ),
    rules=(holds("adults_have_mail", "{Age} < 18 or {Email} is not null", "has an email when of age"),),
    description="Who we know.",
)
PERSONAL = "ann@example.com"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(_env_file=None, data_platform_home=tmp_path)


def write_silver(
    settings: Settings, good: int, warnings: list[list[str]], reasons: list[list[str]], deleted: int = 0
):
    """So many rows without a fault, and one for each list of broken rules."""
    lake = lake_of(settings)
    marks = [*([[]] * good), *warnings]
    rows = [{"id": f"p{number}", "email": PERSONAL, "_warnings": mark} for number, mark in enumerate(marks)]
    rows = [row | {"is_deleted": False} for row in rows]
    rows += [{"id": f"gone{n}", "_warnings": ["age_plausible"], "is_deleted": True} for n in range(deleted)]
    names = pa.list_(pa.string())
    schema = pa.schema(
        [("id", pa.string()), ("email", pa.string()), ("_warnings", names), ("is_deleted", pa.bool_())]
    )
    write_deltalake(
        lake.silver(PEOPLE.silver_name).uri, pa.Table.from_pylist(rows, schema=schema), mode="append"
    )
    if reasons:
        kept = pa.table({"id": ["bad"] * len(reasons), "_reasons": pa.array(reasons, names)})
        write_deltalake(lake.silver_quarantine(PEOPLE.silver_name).uri, kept, mode="append")


def checked(settings: Settings) -> dict[str, dg.AssetCheckEvaluation]:
    """Every check by its name; the run fails exactly where one that blocks does."""
    run = ran([silver_checks(PEOPLE, settings)])
    checks = {each.check_name: each for each in run.get_asset_check_evaluations()}
    errors = [each for each in checks.values() if each.severity is dg.AssetCheckSeverity.ERROR]
    assert run.success == all(each.passed for each in errors)
    return checks


def ran(checks: list, instance: dg.DagsterInstance | None = None) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        asset_checks=checks, jobs=[dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())]
    )
    return defs.resolve_job_def("checks").execute_in_process(instance=instance, raise_on_error=False)


def test_a_table_is_counted_by_its_verdicts(settings):
    write_silver(
        settings,
        5,
        [["age_plausible"], ["age_plausible", "adults_have_mail"]],
        [["email_is_email"]],
        deleted=2,
    )
    quality = quality_of(PEOPLE, lake_of(settings))
    assert (quality.live, quality.quarantined, quality.judged, quality.repeated_keys) == (7, 1, 8, 0)
    assert quality.broken == {
        "id_not_null": 0,
        "email_is_email": 1,
        "age_at_least": 0,
        "age_plausible": 2,
        "changed_at_not_null": 0,
        "adults_have_mail": 1,
    }
    assert quality.share("age_plausible") == 0.25


def test_a_version_is_counted_once_and_the_next_one_again(settings, monkeypatch):
    write_silver(settings, 5, [["age_plausible"]], [])
    asked, query = [], LakeTable.query
    monkeypatch.setattr(LakeTable, "query", lambda table, sql: asked.append(sql) or query(table, sql))
    first, again = (quality_of(PEOPLE, lake_of(settings)) for _ in range(2))
    assert (first, len(asked)) == (again, len(set(asked)))
    assert first.live == 6
    lake_of(settings).silver(PEOPLE.silver_name).delta.delete("id = 'p0'")
    assert quality_of(PEOPLE, lake_of(settings)).live == 5


def test_a_score_is_the_mean_of_its_dimensions():
    quality = Quality(
        PEOPLE, live=80, quarantined=20, repeated_keys=8, broken={"email_is_email": 20, "age_plausible": 10}
    )
    assert quality.dimensions == {
        Dimension.UNIQUENESS: pytest.approx(90),
        Dimension.COMPLETENESS: pytest.approx(100),
        Dimension.VALIDITY: pytest.approx(90),
        Dimension.CONSISTENCY: pytest.approx(100),
    }
    assert quality.score == 95.0


def test_an_empty_table_breaks_nothing():
    quality = Quality(PEOPLE, live=0, quarantined=0, repeated_keys=0, broken={})
    assert (quality.score, quality.share("email_is_email")) == (100.0, 0.0)


def test_a_table_that_is_not_there_has_no_score_and_its_checks_say_what_to_do(settings):
    assert quality_of(PEOPLE, lake_of(settings)) is None
    run = ran([silver_checks(PEOPLE, settings)])
    (failure,) = (event for event in run.all_events if event.is_step_failure)
    assert (
        "silver/crm_people does not exist yet; materialize it first"
        in failure.step_failure_data.error.message
    )


@pytest.mark.parametrize(("bad", "passes"), [(0, True), (5, True), (6, False)])
def test_an_error_is_allowed_for_a_twentieth_of_the_rows(settings, bad, passes):
    write_silver(settings, 100 - bad, [], [["email_is_email"]] * bad)
    check = checked(settings)["email_is_email"]
    assert check.passed is passes
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert (check.metadata["broken"].value, check.metadata["judged"].value) == (bad, 100)


@pytest.mark.parametrize(("odd", "passes"), [(0, True), (10, True), (11, False)])
def test_a_rule_may_say_itself_how_much_it_allows(settings, odd, passes):
    write_silver(settings, 100 - odd, [["age_plausible"]] * odd, [])
    check = checked(settings)["age_plausible"]
    assert (check.passed, check.severity) == (passes, dg.AssetCheckSeverity.WARN)


def test_a_warning_tells_of_a_single_row(settings):
    write_silver(settings, 999, [["adults_have_mail"]], [])
    checks = checked(settings)
    assert not checks["adults_have_mail"].passed
    assert checks["adults_have_mail"].severity is dg.AssetCheckSeverity.WARN
    assert checks["quality_score"].passed
    assert checks["quality_score"].metadata["quality_score"].value > 99.9


def test_a_key_that_is_there_twice_fails_its_check(settings):
    write_silver(settings, 3, [], [])
    assert checked(settings)["key_unique"].passed
    write_silver(settings, 2, [], [])
    check = checked(settings)["key_unique"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["repeated_keys"].value == 2


def test_a_low_score_is_a_warning(settings):
    write_silver(settings, 1, [["adults_have_mail"]] * 9, [])
    check = checked(settings)["quality_score"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["consistency"].value == 10.0


def test_the_score_is_observed_on_its_table_and_no_value_of_a_row_is_shown(settings):
    write_silver(settings, 5, [["age_plausible"]], [["email_is_email"]])
    run = ran([silver_checks(PEOPLE, settings)])
    (observed,) = (event for event in run.all_events if event.event_type_value == "ASSET_OBSERVATION")
    assert observed.asset_key == silver_key(PEOPLE)
    assert "quality_score" in observed.event_specific_data.asset_observation.metadata
    assert not any(PERSONAL in str(event) for event in run.all_events)
    for check in run.get_asset_check_evaluations():
        for name, shown in check.metadata.items():
            assert isinstance(shown.value, int | float) or name == "dimension", (check.check_name, name)


@pytest.mark.parametrize(("hours", "passes"), [(None, False), (0, True), (2.9, True), (3.1, False)])
def test_a_table_is_fresh_for_its_interval_and_two_hours(hours, passes, monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        if hours is not None:

            @dg.asset(key=bronze_key(PEOPLE))
            def people(): ...

            dg.materialize([people], instance=instance)

            class Later(datetime):
                @classmethod
                def now(cls, tz=None):
                    return datetime.now(UTC) + timedelta(hours=hours)

            monkeypatch.setattr("data_platform.checks.assets.datetime", Later)
        (check,) = ran([freshness_checks([PEOPLE])], instance).get_asset_check_evaluations()
    assert check.passed is passes
    assert check.metadata["promised_hours"].value == 3.0
