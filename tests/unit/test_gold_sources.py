"""What gold says of its inputs and outputs is what the declarations say."""

import re
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
MACROS = {
    name: body
    for path in sorted((PROJECT / "macros").rglob("*.sql"))
    for name, body in re.findall(r"{% macro (\w+)\(.*?%}(.*?){%-? endmacro", path.read_text(), re.DOTALL)
}
CLASSIFIED = {
    **{
        table.silver_name: {
            column.silver_name: column.classification for column in table.columns if column.silver_name
        }
        for table in TABLES
    },
    **{table.name: {column.name: column.classification for column in table.columns} for table in JOINED},
}


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
    undescribed = [
        column["name"]
        for column in description["columns"]
        if not column.get("data_type") or column.get("description", "").strip() in ("", column["name"])
    ]
    assert undescribed == []


def made_of(model: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The silver tables that a model is made of, by what its SQL and its macros refer to."""
    sql = next(path for path in MODELS if path.stem == model).read_text()
    for name, body in MACROS.items():
        if f"{name}(" in sql:
            sql += body
    tables = set(re.findall(r"source\('silver', '(\w+)'\)", sql))
    for referred in set(re.findall(r"ref\('(\w+)'\)", sql)) - seen:
        tables |= made_of(referred, seen | {model})
    return tables


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_a_personal_value_is_still_called_personal_in_gold(model):
    """Under a name that is personal in every table that a model is made of, it is said to be; else it may be."""
    declared: dict[str, set[str]] = {}
    for table in made_of(model.stem):
        for name, kind in CLASSIFIED[table].items():
            declared.setdefault(name, set()).add(kind)
    columns = described(model)["columns"]
    said = classifications(columns)
    wrong = {
        column["name"]: said.get(column["name"], "internal")
        for column in columns
        if column["name"] in declared and said.get(column["name"], "internal") not in declared[column["name"]]
    }
    assert wrong == {}


def test_every_table_of_gold_is_in_the_page_on_the_model():
    page = (CHECKOUT / "docs" / "model.md").read_text()
    tables = {model.stem for model in MODELS if "marts" in model.parts}
    assert {table for table in tables if f"`{table}`" not in page} == set()
