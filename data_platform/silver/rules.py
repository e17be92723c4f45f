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
    """The names of the rules of this severity that a row breaks; of a deletion, only its key is judged."""
    verdicts = [
        F.when(
            _judged(table, column) & ~F.coalesce(F.expr(condition(table, rule, column)), F.lit(True)),
            F.lit(name),
        )
        for name, rule, column in table.every_rule
        if rule.severity is severity
    ]
    if not verdicts:
        return F.array().cast("array<string>")
    return F.array_compact(F.array(*verdicts))


def _judged(table: SourceTable, column: Column | None) -> SparkColumn:
    return F.lit(True) if column and column.name in table.key else ~F.col("is_deleted")
