"""A source table, conformed: in the business's names and types, cleaned, one row per key, each row judged.

Pure: declarations and DataFrames in, DataFrames out. Known untruths: a row whose newest version breaks an error
rule keeps its last good version in silver while the newest waits in quarantine; of several versions that landed
together only the newest is judged.
"""

from functools import reduce
from operator import or_

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import Column, DataType, Normalise, Severity, SourceTable
from data_platform.silver.rules import broken


def newest(table: SourceTable, bronze: DataFrame) -> DataFrame:
    """One row per key, the newest in the source's own order; the batch only breaks ties.

    Rows without a key can't be told apart, so each of them stays, to be quarantined.
    """
    key = [F.col(f"`{name}`") for name in table.key]
    keyless = reduce(or_, (column.isNull() for column in key))
    order = [_moment(table, name).desc_nulls_last() for name in table.cursors]
    latest = Window.partitionBy(*key).orderBy(*order, F.desc("_batch"), F.asc("_op"))
    return (
        bronze.withColumn("_place", F.row_number().over(latest))
        .where((F.col("_place") == 1) | keyless)
        .drop("_place")
    )


def _moment(table: SourceTable, cursor: str) -> SparkColumn:
    """A version without a moment of its own is as new as its landing."""
    column = table.by_name.get(cursor)
    held = F.col(f"`{cursor}`")
    return F.coalesce(held, "_landed_at") if column and column.type.kind == "timestamp" else held


def cursor_of(table: SourceTable) -> tuple[str, ...]:
    """What orders the versions of a row, in silver's names."""
    declared = (table.by_name.get(name) for name in table.cursors)
    return tuple(
        (column.silver_name or name) if column else name
        for name, column in zip(table.cursors, declared, strict=True)
    )


def conform(table: SourceTable, rows: DataFrame, rescued: frozenset[str] = frozenset()) -> DataFrame:
    """Bronze rows in silver's columns, judged: `_warnings` stay with the row, `_reasons` keep it out.

    `_bare` marks a deletion of which the source told nothing but the key.
    `rescued` names the columns of which some value landed in `_rescued` before they were declared.
    """
    told = [F.col(f"`{column.name}`").cast("string") for column in _told_by(table)]
    deleted = F.col("_op") == "delete"
    bare = (deleted & F.coalesce(*told).isNull()) if told else F.lit(False)
    shaped = rows.select(
        *(
            _conformed(column, column.name in rescued).alias(column.silver_name)
            for column in table.columns
            if column.silver_name
        ),
        *(name for name in table.cursors if name not in table.by_name),
        deleted.alias("is_deleted"),
        F.col("_batch").alias("_source_batch"),
        "_landed_at",
        bare.alias("_bare"),
    )
    return shaped.withColumns(
        {"_warnings": broken(table, Severity.WARN), "_reasons": broken(table, Severity.ERROR)}
    )


def _told_by(table: SourceTable) -> list[Column]:
    """The columns that silver takes from a row beside what tells it from others and where it was read."""
    known = {*table.key, *table.read_by}
    return [column for column in table.columns if column.silver_name and column.name not in known]


def _conformed(column: Column, rescued: bool) -> SparkColumn:
    value = F.col(f"`{column.name}`")
    if rescued:
        value = F.coalesce(
            value, F.get_json_object("_rescued", f"$['{column.name}']").try_cast(spark_type(column.type))
        )
    if column.type.kind != "string":
        return value
    value = F.trim(value)
    match column.normalise:
        case Normalise.LOWER:
            return F.lower(value)
        case Normalise.UPPER:
            return F.upper(value)
        case Normalise.PHONE:
            return F.regexp_replace(value, r"[\s().-]", "")
        case _:
            return value


def spark_type(declared: DataType) -> str:
    """The type as Spark SQL writes it."""
    match declared.kind:
        case "json":
            return "string"
        case "list" if declared.of:
            return f"array<{spark_type(declared.of)}>"
        case "struct":
            return (
                f"struct<{','.join(f'`{field.name}`:{spark_type(field.type)}' for field in declared.fields)}>"
            )
        case _:
            return str(declared)
