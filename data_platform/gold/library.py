"""What gold uses of dagster-dbt, imported without dbt.

Where dagster-dbt finds dbt it imports most of it, which takes longer than all else that loads with the
definitions. It makes assets from a manifest just as well without (then it expects dbt to run elsewhere), so
dbt is kept from it for the length of this import.
"""

import sys

# To import a module that is None is an ImportError.
_hidden = sys.modules.setdefault("dbt.version", None) is None  # type: ignore[arg-type]
try:
    from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets
    from dagster_dbt.asset_utils import (
        get_manifest_and_translator_from_dbt_assets,
        get_subset_selection_for_context,
    )
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
finally:
    if _hidden:
        del sys.modules["dbt.version"]

__all__ = [
    "DagsterDbtTranslator",
    "DbtCoreCliEventMessage",
    "DbtProject",
    "dbt_assets",
    "get_manifest_and_translator_from_dbt_assets",
    "get_subset_selection_for_context",
]
