"""Replaying quarantine: its rows are taken from bronze again and judged by today's declaration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import SourceTable
from data_platform.lake.errors import LakeError
from data_platform.lake.merge import FEW
from data_platform.lake.reading import read
from data_platform.lake.tables import Lake, Note
from data_platform.silver.conformed import conform, newest
from data_platform.silver.step import judged_once, keep_back, rescued_columns, write_silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Replayed:
    """How many rows now pass and are in silver, and how many stay, with the reasons that they have today."""

    passed: int
    kept: int


def replay(spark: "SparkSession", table: SourceTable, lake: Lake) -> Replayed:
    """Land what passes, once; keep the rest. Silver first: a row merged twice is one row, a row dropped is lost."""
    bronze, silver = lake.bronze(table), lake.silver(table.silver_name)
    quarantine = lake.silver_quarantine(table.silver_name)
    if not quarantine.rows or silver.note is None or quarantine.note is None:
        return Replayed(0, 0)
    if not bronze.exists:
        raise LakeError(f"{bronze.uri} is gone, and quarantined rows are judged from there; restore it first")
    waiting = read(spark, quarantine).select(
        *(
            F.col(silver_name).alias(f"_{name}")
            for name, silver_name in zip(table.key, table.silver_key, strict=True)
        ),
        "_source_batch",
    )
    same_row = [F.col(name) == F.col(f"_{name}") for name in table.key] + [
        F.col("_batch") == F.col("_source_batch")
    ]
    rows = read(spark, bronze).join(F.broadcast(waiting), same_row, "left_semi")
    conformed = conform(table, newest(table, rows), rescued_columns(table, bronze, 0))
    judged = judged_once(spark, table, conformed, quarantine, quarantine.rows <= FEW)
    counts = judged.counts(passed=lambda column: column("_passes"))
    passed, waited = counts["passed"], counts["rows"]
    if passed:
        write_silver(spark, table, silver, judged, Note(silver.note.position, {"replayed": passed}), passed)
    keep_back(spark, table, quarantine, judged, Note(quarantine.note.position, {"replayed": passed}), waited)
    return Replayed(passed, quarantine.fresh().rows)
