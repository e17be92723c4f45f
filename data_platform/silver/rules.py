"""Judging rows: a declaration's rules as Spark expressions."""

import re

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import NAMED_COLUMN, Column, Rule, Severity, SourceTable


def condition(table: SourceTable, rule: Rule, column: Column | None) -> str:
    """The rule in silver's names."""

    def silver(match: re.Match[str]) -> str:
        named = column if match[1] == "column" else table.by_name[match[1]]
        return f"`{named.silver_name}`" if named else match[0]

    return NAMED_COLUMN.sub(silver, rule.condition)


def broken(table: SourceTable, severity: Severity) -> SparkColumn:
    """The names of the rules of this severity that a row breaks; a deletion has nothing left to judge."""
    verdicts = [
        F.when(~F.coalesce(F.expr(condition(table, rule, column)), F.lit(True)), F.lit(name))
        for name, rule, column in table.every_rule
        if rule.severity is severity
    ]
    none = F.array().cast("array<string>")
    if not verdicts:
        return none
    return F.when(F.col("is_deleted"), none).otherwise(F.array_compact(F.array(*verdicts)))
