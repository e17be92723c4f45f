"""Gold after a first build and twenty rounds of change, with builds between them; shared by all tests here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data_platform.gold.dbt import run_dbt, seed_parse
from data_platform.settings import Settings
from tests.integration.gold.company import Company
from tests.integration.gold.truth import Truth

ROUNDS = 20
# A build follows every third round or so, and takes in all that has changed by then.
BUILDS = 0.3
# Marts that are made whole in each build are left to the last one.
INCREMENTAL = ("config.materialized:incremental", "dim_campaigns")


@dataclass
class Gold:
    settings: Settings
    company: Company
    truth: Truth
    before_last: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def build(self, *arguments: str, command: str = "run") -> None:
        target = self.settings.home / "warehouse" / "dbt"
        seed_parse(self.settings, target)
        ended = run_dbt(self.settings, ["--quiet", command, *arguments], target)
        assert ended.success, [
            (node.node.name, node.message) for node in ended.result or [] if node.status in ("error", "fail")
        ]

    def build_what_changed(self, *arguments: str) -> None:
        self.company.commit(self.settings)
        self.build(*arguments)
        self.truth.look()

    @property
    def file(self) -> Path:
        """The one that dbt builds in."""
        (found,) = (self.settings.home / "warehouse").rglob("warehouse.duckdb")
        return found

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table and mart, row by row."""
        named = self.query(
            "select schema_name || '.' || table_name from duckdb_tables() union all "
            "select schema_name || '.' || view_name from duckdb_views() where view_name like 'mart_%'"
        )
        return {name: self.query(f"from {name} order by all") for (name,) in named}


@pytest.fixture(scope="session")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Gold:
    settings = Settings(_env_file=None, data_platform_home=tmp_path_factory.mktemp("gold"))
    company = Company()
    gold = Gold(settings, company, Truth(company))
    company.a_first_state()
    gold.build_what_changed()
    for number in range(1, ROUNDS + 1):
        company.a_round()
        if number == ROUNDS or company.happens(BUILDS):
            gold.build_what_changed("--select", *INCREMENTAL)
    gold.before_last = gold.content()
    gold.build("--exclude-resource-type", "unit_test", command="build")
    return gold
