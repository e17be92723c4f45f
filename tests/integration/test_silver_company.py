"""Three days of a company, from Salesforce to silver and its checks, against what is true of the company.

The first day runs as Dagster's job, with gold behind it; the two days after it load and refine what changed. Then
leads come in of which too many are bad.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb
import pytest
from pydantic import SecretStr

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.checks.scores import Quality, quality_of
from data_platform.declarations import Column, Normalise, SourceTable
from data_platform.definitions import build
from data_platform.described import bronze_key, silver_key
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from data_platform.silver.step import Refined, refine
from data_platform.sources.salesforce import TABLES
from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World

DAYS = (0, 1, 2)
# What the company plants, and the rule that finds it.
ERRORS = {
    "leads": {"bad_email": "email_is_email", "negative_revenue": "annual_revenue_at_least"},
    "contacts": {"bad_email": "email_is_email"},
    "opportunities": {"negative_amount": "amount_between", "huge_amount": "amount_between"},
    "accounts": {"negative_revenue": "annual_revenue_at_least"},
}
WARNINGS = {
    "leads": {"unknown_status": "status_one_of", "converted_without_account": "converted_has_account"},
    "contacts": {},
    "opportunities": {},
    "accounts": {},
}
# A formula moves no cursor, and is compared once a week.
FORMULA = "Segment__c"
BAD_LEADS = 60


@dataclass(frozen=True)
class Day:
    """What was true of one table and what was held of it."""

    truth: list[dict]
    planted: dict[str, list[str]]
    bronze: list[dict]
    silver: list[dict]
    quarantine: list[dict]
    quality: Quality
    loaded: Loaded | None = None
    refined: Refined | None = None


@dataclass
class Chain:
    """The company, its lake, and what was held of each table at the end of each day."""

    world: World
    settings: Settings
    secrets: list[str]
    instance: dg.DagsterInstance
    first: dg.ExecuteInProcessResult | None = None
    too_many_bad: dg.ExecuteInProcessResult | None = None
    days: dict[tuple[int, str], Day] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return lake_of(self.settings)

    def run(self) -> dg.ExecuteInProcessResult:
        definitions = build(self.settings)
        # Nobody publishes rates here: the deals' amounts are made without.
        crm = dg.AssetSelection.groups("crm").upstream() - dg.AssetSelection.key_substring("exchange_rates")
        job = definitions.resolve_job_def("whole_chain")
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=sorted(crm.resolve(definitions.resolve_asset_graph())),
            raise_on_error=False,
        )

    def remember(self, table: SourceTable, **counts: Any) -> None:
        lake, planted = self.lake, self.world.planted_ids[table.name]
        held = [lake.bronze(table), lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)]
        self.days[self.world.day, table.name] = Day(
            self.world.truth(table.name),
            {fault: list(ids) for fault, ids in planted.items()},
            *(each.query("select * from held").to_pylist() for each in held),
            quality_of(table, lake),
            **counts,
        )


@pytest.fixture(scope="module")
def chain(tmp_path_factory, spark) -> Iterator[Chain]:
    world = World(sizes=Sizes(accounts=60, contacts=120, leads=700, opportunities=120))
    with SalesforceServer(world) as server, dg.DagsterInstance.ephemeral() as instance:
        given = {name.lower(): value for name, value in server.settings().items()}
        settings = Settings(_env_file=None, data_platform_home=tmp_path_factory.mktemp("home"), **given)
        known = server.credentials
        chain = Chain(world, settings, [known.client_secret, known.refresh_token], instance)
        chain.first = chain.run()
        for table in TABLES:
            chain.remember(table)
        for _ in DAYS[1:]:
            server.control.advance()
            for table in TABLES:
                loaded = load(table, connector_for(table, settings), chain.lake, settings.commit_rows)
                refined = refine(lambda: spark, table, chain.lake)
                chain.remember(table, loaded=loaded, refined=refined)
        bad = [
            {"LastName": f"Nobody {number}", "Company": "Ltd", "Email": "none"} for number in range(BAD_LEADS)
        ]
        server.control.insert("Lead", bad)
        chain.too_many_bad = chain.run()
        yield chain


each_day = pytest.mark.parametrize("day", DAYS)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def newest(rows: list[dict]) -> dict[str, dict]:
    ordered = sorted(rows, key=lambda row: (row["SystemModstamp"], row["_batch"]))
    return {row["Id"]: row for row in ordered}


def compared(table: SourceTable, day: int) -> list[Column]:
    return [column for column in table.columns if day == 0 or column.name != FORMULA]


def conformed(table: SourceTable, row: dict, day: int) -> dict:
    """A record of the company as silver should write it; said here a second time, in Python."""
    values = {
        column.silver_name: as_written(row[column.name], column.normalise)
        for column in compared(table, day)
        if column.silver_name
    }
    return values | {"is_deleted": row["IsDeleted"]}


def as_written(value: Any, normalise: Normalise | None) -> Any:
    if not isinstance(value, str):
        return value
    match normalise:
        case Normalise.LOWER:
            value = value.lower()
        case Normalise.UPPER:
            value = value.upper()
        case Normalise.PHONE:
            value = re.sub(r"[\s().-]", "", value)
    # Salesforce knows no empty text.
    return value.strip(" ") or None


def with_faults(day: Day, rules: dict[str, str]) -> dict[str, str]:
    """The records that carry a planted fault, each with the rule that should find it."""
    return {key: rule for fault, rule in rules.items() for key in day.planted.get(fault, ())}


@each_day
@each_table
def test_bronze_holds_every_record_as_it_is(chain, table, day):
    held = chain.days[day, table.name]
    live = {row["Id"]: row for row in held.truth if not row["IsDeleted"]}
    landed = {key: row for key, row in newest(held.bronze).items() if row["_op"] == "upsert"}
    assert landed.keys() == live.keys()
    for key, row in landed.items():
        for column in compared(table, day):
            if column.type.kind != "json":
                assert row[column.name] == (None if live[key][column.name] == "" else live[key][column.name])
    marks = [(row["Id"], row["SystemModstamp"], row["_op"]) for row in held.bronze]
    assert len(marks) == len(set(marks))


@each_day
@each_table
def test_silver_holds_every_good_record_in_its_newest_version(chain, table, day):
    held = chain.days[day, table.name]
    bad = with_faults(held, ERRORS[table.name])
    truth = {row["Id"]: conformed(table, row, day) for row in held.truth if row["Id"] not in bad}
    key = table.silver_key[0]
    silver = {row[key]: row for row in held.silver}
    assert len(silver) == len(held.silver)
    assert silver.keys() == truth.keys()
    for each, row in silver.items():
        assert {name: row[name] for name in truth[each]} == truth[each]


@each_day
@each_table
def test_planted_errors_wait_in_quarantine_and_nothing_else(chain, table, day):
    held = chain.days[day, table.name]
    found = {row[table.silver_key[0]]: row["_reasons"] for row in held.quarantine}
    assert len(found) == len(held.quarantine)
    assert found == {key: [rule] for key, rule in with_faults(held, ERRORS[table.name]).items()}


@each_day
@each_table
def test_planted_oddities_are_marked_and_nothing_else(chain, table, day):
    held = chain.days[day, table.name]
    marked = {row[table.silver_key[0]]: row["_warnings"] for row in held.silver if row["_warnings"]}
    assert marked == {key: [rule] for key, rule in with_faults(held, WARNINGS[table.name]).items()}


@each_day
@each_table
def test_counts_of_broken_rules_are_those_that_were_planted(chain, table, day):
    held = chain.days[day, table.name]
    expected = dict.fromkeys((name for name, _, _ in table.every_rule), 0)
    for fault, rule in (ERRORS[table.name] | WARNINGS[table.name]).items():
        expected[rule] += len(held.planted.get(fault, ()))
    assert held.quality.broken == expected
    assert held.quality.repeated_keys == 0
    live = sum(not row["IsDeleted"] for row in held.truth)
    assert held.quality.judged == live


@pytest.mark.parametrize("day", DAYS[1:])
@each_table
def test_a_day_moves_only_what_changed_and_its_receipt_adds_up(chain, table, day):
    held, before = chain.days[day, table.name], chain.days[day - 1, table.name]
    assert held.loaded.receipt.adds_up
    assert held.loaded.receipt.landed == len(held.bronze) - len(before.bronze)
    was = {row["Id"]: row["SystemModstamp"] for row in before.truth}
    changed = sum(was.get(row["Id"]) != row["SystemModstamp"] for row in held.truth)
    assert 0 < held.refined.keys == changed < len(held.truth) / 4
    assert held.refined.read == held.loaded.receipt.landed
    batches = {row["_source_batch"] for row in held.silver}
    assert max(batches) == held.loaded.batch


def events(run: dg.ExecuteInProcessResult) -> list[str]:
    return [str(event) for event in run.all_events]


def test_the_whole_chain_succeeds_and_shows_rows_and_receipts(chain):
    assert chain.first.success
    made = {
        event.asset_key: event.materialization.metadata
        for event in chain.first.get_asset_materialization_events()
    }
    for table in TABLES:
        held = chain.days[0, table.name]
        assert made[bronze_key(table)]["dagster/row_count"].value == len(held.bronze)
        assert made[silver_key(table)]["dagster/row_count"].value == len(held.silver)
        assert made[bronze_key(table)]["receipt"].value.startswith(f"{len(held.bronze):,} offered = ")
        assert made[silver_key(table)]["dagster/column_lineage"].value.deps_by_column


def test_checks_tell_the_planted_numbers_and_fail_where_more_are_broken_than_allowed(chain):
    told = {(each.asset_key, each.check_name): each for each in chain.first.get_asset_check_evaluations()}
    for table in TABLES:
        broken = chain.days[0, table.name].quality.broken
        for name, rule, _ in table.every_rule:
            check = told[silver_key(table), name]
            assert check.metadata["broken"].value == broken[name]
            assert check.passed == (broken[name] / check.metadata["judged"].value <= rule.allowed)
            assert check.severity.name == rule.severity.name
        assert told[silver_key(table), "key_unique"].passed
        assert told[silver_key(table), "quality_score"].passed
        for name in ("receipt_adds_up", "columns_as_declared", "fresh"):
            assert told[bronze_key(table), name].passed
    failed = {check.check_name for check in told.values() if not check.passed}
    assert failed == set(WARNINGS["leads"].values())


def test_gold_is_built_from_what_silver_holds(chain):
    made = {event.asset_key.path[-1] for event in chain.first.get_asset_materialization_events()}
    assert {"dim_accounts", "fct_leads", "mart_lead_funnel", "mart_pipeline"} <= made
    with duckdb.connect(str(chain.settings.duckdb_file), read_only=True) as gold:
        (leads,) = gold.execute("select count(*) from crm.fct_leads").fetchone()
    assert leads == len(chain.days[0, "leads"].silver)


def test_too_many_bad_rows_fail_their_check_and_gold_is_left_as_it_was(chain):
    run = chain.too_many_bad
    assert not run.success
    failed = {check.check_name for check in run.get_asset_check_evaluations() if not check.passed}
    assert "email_is_email" in failed
    made = {event.asset_key.path[0] for event in run.get_asset_materialization_events()}
    assert made == {"bronze", "silver"}
    with duckdb.connect(str(chain.settings.duckdb_file), read_only=True) as gold:
        (leads,) = gold.execute("select count(*) from crm.fct_leads").fetchone()
    assert leads == len(chain.days[0, "leads"].silver)


def test_no_secret_and_no_personal_value_is_in_any_event(chain):
    emails = {row["Email"] for row in chain.world.truth("leads") if row["Email"] and "@" in row["Email"]}
    for said in events(chain.first) + events(chain.too_many_bad):
        assert not any(secret in said for secret in chain.secrets)
        assert not any(email in said for email in emails)


def test_wrong_credentials_are_told_plainly_once_and_without_the_secret(chain):
    wrong = chain.settings.model_copy(update={"salesforce_refresh_token": SecretStr("wrong-5f2e")})
    leads = build(wrong).resolve_assets_def(bronze_key(TABLES[0]))
    run = dg.materialize([leads], instance=chain.instance, raise_on_error=False)
    (failure,) = (event for event in run.all_events if event.is_step_failure)
    said = failure.step_failure_data.error.message
    assert said.startswith(
        "dagster._core.definitions.events.Failure: bronze/salesforce/leads was not loaded: "
    )
    assert "SALESFORCE_REFRESH_TOKEN" in said
    assert not any(event.is_step_up_for_retry for event in run.all_events)
    assert not any("wrong-5f2e" in each for each in events(run))
