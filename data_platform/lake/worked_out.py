"""Rows that Spark has worked out, once: few of them are fetched into this process, many stay where Spark has them.

What is asked of few rows afterwards, and their merge, starts no plan of Spark's, of which each takes longer than such
rows do. A condition is told how to name a column, since both kinds understand the same operators:
`lambda column: column("is_deleted") & ~column("_waits")`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
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
    def where(self, condition: Condition) -> Self: ...

    @abstractmethod
    def without(self, *columns: str) -> Self: ...

    @abstractmethod
    def of_batch(self, number: int) -> Self:
        """The rows with the number of the batch that they are going to be."""

    @abstractmethod
    def fetched(self) -> pa.Table: ...

    @abstractmethod
    def in_spark(self, spark: "SparkSession", /) -> "DataFrame": ...


@dataclass(frozen=True)
class Few(WorkedOut):
    """In this process."""

    rows: pa.Table

    @classmethod
    def of(cls, rows: "DataFrame") -> Self:
        # Taken anew: Spark leaves out the offsets of lists that are all empty, over which others stumble.
        fetched = rows.toArrow()
        return cls(fetched.take(pa.array(range(fetched.num_rows), pa.int64())))

    @property
    def columns(self) -> list[str]:
        return list(self.rows.column_names)

    def counts(self, **conditions: Condition) -> dict[str, int]:
        found = {name: self.where(condition).rows.num_rows for name, condition in conditions.items()}
        return {"rows": self.rows.num_rows, **found}

    def where(self, condition: Condition) -> Self:
        return type(self)(self.rows.filter(condition(pc.field)))

    def without(self, *columns: str) -> Self:
        return type(self)(self.rows.drop_columns(list(columns)))

    def of_batch(self, number: int) -> Self:
        return type(self)(self.rows.append_column("_batch", pa.repeat(pa.scalar(number), self.rows.num_rows)))

    def fetched(self) -> pa.Table:
        return self.rows

    def in_spark(self, spark: "SparkSession", /) -> "DataFrame":
        return spark.createDataFrame(self.rows)


@dataclass(frozen=True)
class Many(WorkedOut):
    """In Spark, which holds what it worked out."""

    rows: "DataFrame"

    @classmethod
    def of(cls, rows: "DataFrame") -> Self:
        # Delta takes what is kept like this as it is, where it would copy a cached source again.
        return cls(rows.localCheckpoint())

    @property
    def columns(self) -> list[str]:
        return self.rows.columns

    def counts(self, **conditions: Condition) -> dict[str, int]:
        from pyspark.sql import functions as F  # noqa: N812 - its usual name

        found = [F.count_if(condition(F.col)).alias(name) for name, condition in conditions.items()]
        counted = self.rows.agg(F.count("*").alias("rows"), *found).collect()[0]
        return {name: int(value) for name, value in counted.asDict().items()}

    def where(self, condition: Condition) -> Self:
        from pyspark.sql.functions import col

        return type(self)(self.rows.where(condition(col)))

    def without(self, *columns: str) -> Self:
        return type(self)(self.rows.drop(*columns))

    def of_batch(self, number: int) -> Self:
        from pyspark.sql.functions import lit

        return type(self)(self.rows.withColumn("_batch", lit(number).cast("bigint")))

    def fetched(self) -> pa.Table:
        return Few.of(self.rows).rows

    def in_spark(self, _: "SparkSession", /) -> "DataFrame":
        return self.rows
