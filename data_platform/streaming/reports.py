"""What Dagster is told of a table that is loaded outside of its runs: a materialization a minute, with its checks."""

import logging
import threading
import time
from dataclasses import fields, replace

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from data_platform.bronze.assets import checks_of, metadata_of
from data_platform.bronze.load import Loaded
from data_platform.declarations import SourceTable
from data_platform.described import bronze_key
from data_platform.lake.receipts import Receipt

log = logging.getLogger(__name__)

# A table in which nothing happens is still loaded, as its freshness says.
QUIET_EVERY = 1800.0


class Reports:
    """The loads of one table since Dagster was last told, as one."""

    def __init__(self, table: SourceTable, instance: dg.DagsterInstance, every: float) -> None:
        self._table = table
        self._instance = instance
        self._every = every
        self._told_at = -QUIET_EVERY
        self._untold: Loaded | None = None
        self._taking = threading.Lock()

    def heed(self, loaded: Loaded) -> bool:
        """Take a load in; whether it is time to tell."""
        with self._taking:
            before = self._untold
            self._untold = replace(loaded, receipt=_sum(before.receipt, loaded.receipt)) if before else loaded
            receipt = self._untold.receipt
        due = self._every if receipt.landed or receipt.quarantined else QUIET_EVERY
        return time.monotonic() - self._told_at >= due

    def tell(self) -> None:
        """The table goes on where Dagster's own storage can't be written."""
        with self._taking:
            loaded, self._untold = self._untold, None
        if loaded is None:
            return
        self._told_at = time.monotonic()
        key = bronze_key(self._table)
        try:
            self._instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    key, metadata=metadata_of(loaded), tags={DATA_VERSION_TAG: str(loaded.batch)}
                )
            )
            for result in checks_of(self._table, loaded):
                self._instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(
                        asset_key=key,
                        check_name=str(result.check_name),
                        passed=result.passed,
                        severity=result.severity,
                        metadata=result.metadata,
                    )
                )
        except Exception as trouble:
            log.warning("Dagster was not told of %s: %s", self._table.silver_name, type(trouble).__name__)


def _sum(one: Receipt, other: Receipt) -> Receipt:
    """Counts of both; what is not counted in one is not counted."""
    offered = None if one.offered is None or other.offered is None else one.offered + other.offered
    counts = [field.name for field in fields(Receipt) if field.name not in ("offered", "complete")]
    summed = {name: getattr(one, name) + getattr(other, name) for name in counts}
    return Receipt(offered=offered, complete=other.complete, **summed)
