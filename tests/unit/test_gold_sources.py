"""What gold says of its inputs and outputs is what the declarations say."""

from pathlib import Path

import pytest
import yaml

from data_platform.declarations import DECIMAL, LIST, STRING, STRUCT, TIMESTAMP, Column
from data_platform.gold.sources import sources_file, sources_yaml, warehouse_type
from data_platform.settings import CHECKOUT
from data_platform.silver.catalogue import JOINED
from data_platform.sources.catalogue import TABLES

PROJECT = CHECKOUT / "dbt_project"
MODELS = sorted((PROJECT / "models").rglob("*.sql"))


def described(model: Path) -> dict:
    (description,) = yaml.safe_load(model.with_suffix(".yml").read_text())["models"]
    return description


def classifications(columns: list[dict]) -> dict[str, str]:
    return {
        column["name"]: column["config"]["meta"]["classification"] for column in columns if "config" in column
    }


def test_the_committed_sources_are_those_of_the_declarations():
    assert sources_file(PROJECT).read_text() == sources_yaml(TABLES, JOINED), (
        "run `python -m data_platform.gold.sources` and commit what it writes"
    )


def test_every_silver_column_is_a_source_column_with_its_classification():
    (silver,) = yaml.safe_load(sources_yaml(TABLES, ()))["sources"]
    for table, source in zip(TABLES, silver["tables"], strict=True):
        declared = {
            column.silver_name: column.classification for column in table.columns if column.silver_name
        }
        assert classifications(source["columns"]) == declared
        assert [column["name"] for column in source["columns"]][-4:] == [
            "is_deleted",
            "_batch",
            "_landed_at",
            "_warnings",
        ]


def test_every_column_of_a_table_made_of_others_is_a_source_column():
    (silver,) = yaml.safe_load(sources_yaml((), JOINED))["sources"]
    for table, source in zip(JOINED, silver["tables"], strict=True):
        assert source["name"] == table.name
        assert classifications(source["columns"]) == {
            column.name: column.classification for column in table.columns
        }
        said = [column["name"] for column in source["columns"]][len(table.columns) :]
        assert said == ["is_deleted", "_batch", "_landed_at"]


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (STRING, "varchar"),
        (TIMESTAMP, "timestamp with time zone"),
        (DECIMAL(18, 2), "decimal(18,2)"),
        (LIST(STRING), "varchar[]"),
        (
            STRUCT(Column("at", TIMESTAMP), Column("by", STRING)),
            "struct(at timestamp with time zone, by varchar)",
        ),
    ],
)
def test_a_declared_type_is_written_as_the_warehouse_does(declared, written):
    assert warehouse_type(declared) == written


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_model_is_described_beside_its_sql_column_by_column(model):
    description = described(model)
    assert description["name"] == model.stem
    assert "one row per" in description["description"].lower()
    assert all(column["description"] and column["data_type"] for column in description["columns"])


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_a_personal_value_is_still_called_personal_in_gold(model):
    table = next(table for table in TABLES if table.name in model.stem) if "mart_" not in model.stem else None
    declared = {
        column.silver_name: column.classification
        for source in ([table] if table else TABLES)
        for column in source.columns
        if column.silver_name and column.classification != "internal"
    }
    columns = described(model)["columns"]
    said = classifications(columns)
    names = [column["name"] for column in columns]
    assert {name: said.get(name) for name in names if name in declared} == {
        name: kind for name, kind in declared.items() if name in names
    }
