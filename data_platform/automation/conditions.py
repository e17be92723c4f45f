"""When a table is made again: when one of its inputs has changed, not merely been looked at."""

from typing import Any

import dagster as dg


def on_change() -> dg.AutomationCondition[Any]:
    """Once per change of an input's data version, when nothing upstream is still running and no blocking check failed.

    A load that found nothing keeps its data version, so a quiet hour starts nothing.
    """
    changed = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    ).with_label("any_deps_changed")
    return (
        dg.AutomationCondition.eager().replace("any_deps_updated", changed)
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    ).with_label("on_change")
