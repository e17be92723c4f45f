"""What of silver was never made, as where a company has no such source: gold is built without what depends on it."""

from collections.abc import Mapping
from typing import Any

from data_platform.lake.tables import Lake


def absent_sources(manifest: Mapping[str, Any], lake: Lake) -> list[str]:
    """The silver tables that dbt's models may read and the lake does not have."""
    named = sorted({str(source["name"]) for source in manifest["sources"].values()})
    return [name for name in named if not lake.silver(name).exists]


def without(absent: list[str]) -> list[str]:
    """dbt's arguments that leave out what depends on these."""
    return ["--exclude", *(f"source:silver.{name}+" for name in absent)] if absent else []
