"""Rows that Spark has worked out, once: few of them are fetched into this process, many stay where Spark has them.

What is asked of few rows afterwards, and their merge, starts no plan of Spark's, of which each takes longer than such
rows do. A condition is told how to name a column, since both kinds understand the same operators:
`lambda column: column("is_deleted") & ~column("_waits")`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Condition = Callable[[Callable[[str], Any]], Any]


class WorkedOut(ABC):
    """The rows, whichever side they are on."""

    @property
    @abstractmethod
    def columns(self) -> list[str]: ...

    @abstractmethod
    def counts(self, **conditions: Condition) -> dict[str, int]:
        """How many rows there are under each condition, and `rows` in all."""

    @abstractmethod
    def ends(self, low: str, high: str) -> tuple[pa.Scalar, pa.Scalar]:
        """The least of one column and the greatest of another; none where there are no rows."""

    @abstractmethod
    def where(self, condition: Condition) -> Self: ...

    @abstractmethod
    def without(self, *columns: str) -> Self: ...

    @abstractmethod
    def of_batch(self, number: int) -> Self:
        """The rows with the number of the batch that they are going to be."""

    @abstractmethod
    def fetched(self) -> pa.Table: ...

    @property
    @abstractmethod
    def in_spark(self) -> "DataFrame": ...


@dataclass(frozen=True)
class Few(WorkedOut):
    """In this process, and in the session only where that is asked for."""

    rows: pa.Table
    spark: "SparkSession"

    @classmethod
    def of(cls, rows: "DataFrame") -> Self:
        # Taken anew: Spark leaves out the offsets of lists that are all empty, over which others stumble.
        fetched = rows.toArrow()
        anew = fetched.take(pa.array(range(fetched.num_rows), pa.int64()))
        # That a plan never gives null in a column says nothing of what the rows are put together with.
        return cls(
            anew.cast(pa.schema([field.with_nullable(True) for field in anew.schema])), rows.sparkSession
        )

    @property
    def columns(self) -> list[str]:
        return list(self.rows.column_names)

    def counts(self, **conditions: Condition) -> dict[str, int]:
        found = {name: self.where(condition).rows.num_rows for name, condition in conditions.items()}
        return {"rows": self.rows.num_rows, **found}

    def where(self, condition: Condition) -> Self:
        return replace(self, rows=self.rows.filter(condition(pc.field)))

    def without(self, *columns: str) -> Self:
        return replace(self, rows=self.rows.drop_columns(list(columns)))

    def of_batch(self, number: int) -> Self:
        return self.with_column("_batch", pa.repeat(number, self.rows.num_rows))

    def with_column(self, name: str, values: pa.Array) -> Self:
        return replace(self, rows=self.rows.append_column(name, values))

    def fetched(self) -> pa.Table:
        return self.rows

    @cached_property
    def in_spark(self) -> "DataFrame":
        return self.spark.createDataFrame(self.rows)

    def ends(self, low: str, high: str) -> tuple[pa.Scalar, pa.Scalar]:
        return pc.min(self.rows.column(low)), pc.max(self.rows.column(high))


@dataclass(frozen=True)
class Many(WorkedOut):
    """In Spark, which holds what it worked out."""

    frame: "DataFrame"

    @classmethod
    def of(cls, rows: "DataFrame") -> Self:
        # Delta takes what is kept like this as it is, where it would copy a cached source again.
        return cls(rows.localCheckpoint())

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def counts(self, **conditions: Condition) -> dict[str, int]:
        from pyspark.sql import functions as F  # noqa: N812 - its usual name

        found = [F.count_if(condition(F.col)).alias(name) for name, condition in conditions.items()]
        counted = self.frame.agg(F.count("*").alias("rows"), *found).collect()[0]
        return {name: int(value) for name, value in counted.asDict().items()}

    def where(self, condition: Condition) -> Self:
        from pyspark.sql.functions import col

        return type(self)(self.frame.where(condition(col)))

    def without(self, *columns: str) -> Self:
        return type(self)(self.frame.drop(*columns))

    def of_batch(self, number: int) -> Self:
        from pyspark.sql.functions import lit

        return type(self)(self.frame.withColumn("_batch", lit(number).cast("bigint")))

    @property
    def in_spark(self) -> "DataFrame":
        return self.frame

    def fetched(self) -> pa.Table:
        return Few.of(self.frame).rows

    def ends(self, low: str, high: str) -> tuple[pa.Scalar, pa.Scalar]:
        from pyspark.sql import functions as F  # noqa: N812 - its usual name

        found = self.frame.agg(F.min(low).alias("low"), F.max(high).alias("high")).toArrow()
        return found.column("low")[0], found.column("high")[0]


def worked_out(rows: "DataFrame", at_most: int) -> WorkedOut:
    """The rows as few, if they are no more than so many: a plan can't know."""
    first = Few.of(rows.limit(at_most + 1))
    return first if len(first.rows) <= at_most else Many.of(rows)
