"""How dbt_project.yml lays gold out in Redshift and Snowflake, and who it says may read it, against the models."""

from pathlib import Path

import pytest
import yaml

from data_platform.settings import CHECKOUT

PROJECT = CHECKOUT / "dbt_project"
SAID = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
MARTS = SAID["models"]["data_platform"]["marts"]
FILES = sorted((PROJECT / "models" / "marts").rglob("*.yml"))


def columns(file: Path) -> set[str]:
    (model,) = yaml.safe_load(file.read_text())["models"]
    return {column["name"] for column in model["columns"]}


def layout(file: Path) -> dict[str, str]:
    return MARTS[file.parent.name].get(file.stem, {})


MODELS = [file for file in FILES if file.with_suffix(".sql").exists()]


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_what_is_looked_for_by_batch_is_sorted_and_clustered_by_it(file):
    keeps_batch = "_batch" in columns(file)
    assert ("_batch" in (layout(file).get("+sort"), layout(file).get("+cluster_by"))) == keeps_batch
    assert layout(file).get("+sort") == layout(file).get("+cluster_by")


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_facts_of_customers_lie_by_customer(file):
    expected = "customer_key" if file.stem.startswith("fct_") and "customer_key" in columns(file) else None
    assert layout(file).get("+dist") == expected


def test_layouts_and_readers_name_what_is_there():
    schemas = {name for name in MARTS if not name.startswith("+")}
    models = {file.stem for file in MODELS}
    assert {name for each in schemas for name in MARTS[each] if not name.startswith("+")} <= models
    for may in SAID["vars"]["readers"].values():
        assert {*may["schemas"], *may.get("reaches", ())} <= schemas
        assert set(may.get("models", ())) <= models
    assert set(SAID["vars"]["readers"]) == {"data_engineer", "data_analyst", "business_user", "crm_analyst"}
