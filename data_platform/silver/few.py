"""Few rows and many, told apart: what is done among few should not cost what it costs among many.

A plan can't know how many rows a change has. Few are kept in one piece, so that joins and groups among them move no row
(each move is two more jobs, however few the rows), and are sent to where the many lie instead of the other way round.
"""

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name
from pyspark.sql.pandas.types import from_arrow_type

from data_platform.lake.worked_out import WorkedOut

FEW = 100_000


@dataclass(frozen=True)
class Rows:
    """How to handle the rows that a step is about."""

    are_few: bool

    @classmethod
    def like(cls, worked_out: DataFrame) -> "Rows":
        return cls(worked_out.count() <= FEW)

    def gathered(self, rows: DataFrame) -> DataFrame:
        """From among many, wherever they lie."""
        return rows.repartition(1) if self.are_few else rows

    def together(self, *parts: DataFrame) -> DataFrame:
        """Parts that are few themselves."""
        rows = reduce(DataFrame.unionByName, parts)
        return rows.coalesce(1) if self.are_few else rows

    def sent(self, rows: DataFrame) -> DataFrame:
        """To the other side of a join."""
        return F.broadcast(rows) if self.are_few else rows


def ends(rows: WorkedOut, low: str, high: str | None = None) -> tuple[Column, Column]:
    """The least and the greatest of a column, or of two: a plan that is told them passes over files and pages that lie
    outside. Both are null where there are no rows."""
    least, greatest = rows.ends(low, high or low)
    return _literal(least), _literal(greatest)


def _literal(value: pa.Scalar) -> Column:
    return F.lit(value.as_py()).cast(from_arrow_type(value.type))
