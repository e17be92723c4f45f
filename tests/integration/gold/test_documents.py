"""The pages that `make docs` writes."""

import html
import json
import re

from data_platform.gold.documents import page, write_page


def test_the_pages_show_every_model_and_metric_with_its_lineage(gold):
    assert write_page(gold.settings) == page(gold.settings)
    shown = html.unescape(page(gold.settings).read_text())
    manifest = json.loads((page(gold.settings).parent / "manifest.json").read_text())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) > 50
    for node in [*models, *manifest["metrics"].values(), *manifest["exposures"].values()]:
        assert f'"{node["unique_id"]}"' in shown
    catalogue = json.loads((page(gold.settings).parent / "catalog.json").read_text())
    (orders,) = (each for name, each in catalogue["nodes"].items() if re.search(r"\.fct_orders$", name))
    assert orders["columns"]["revenue_usd"]["type"].upper() == "DECIMAL(18,2)"


def test_every_exposure_metric_and_semantic_model_is_described(gold):
    manifest = json.loads((gold.settings.home / "warehouse" / "dbt" / "manifest.json").read_text())
    kinds = ("metrics", "exposures", "semantic_models")
    undescribed = [
        node["unique_id"]
        for kind in kinds
        for node in manifest[kind].values()
        if not node["description"].strip()
    ]
    assert undescribed == []
    marts = {name for name in manifest["nodes"] if ".mart_" in name and name.startswith("model.")}
    read = {name for each in manifest["exposures"].values() for name in each["depends_on"]["nodes"]}
    assert marts - read == set(), "say in exposures.yml who reads these"
