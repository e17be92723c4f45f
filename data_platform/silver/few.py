"""Few rows and many, told apart: what is done among few should not cost what it costs among many.

A plan can't know how many rows a change has. Few are kept in one piece, so that joins and groups among them move no row
(each move is two more jobs, however few the rows), and are sent to where the many lie instead of the other way round.
"""

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

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
