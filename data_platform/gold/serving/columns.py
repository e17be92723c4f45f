"""The types of a target's columns: what a declared type is there, what can hold it, and how it comes from staging."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_platform.declarations import DataType
from data_platform.gold.serving.target import TargetError


@dataclass(frozen=True)
class Shown:
    """A column's type as information_schema says it."""

    name: str
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        is_exact = self.name in ("numeric", "NUMBER") and self.precision is not None
        return f"{self.name}({self.precision},{self.scale})" if is_exact else self.name


@dataclass(frozen=True)
class Staged:
    """A type that the staging table has in place of the table's, and how its value is taken on from there."""

    type: str
    taken_on: str


@dataclass(frozen=True)
class ColumnTypes:
    """The types of a database, each by a declared kind; `shown` as information_schema names those that can hold it."""

    database: str
    types: Mapping[str, str]
    shown: Mapping[str, tuple[str, ...]]
    staged: Mapping[str, Staged] = field(default_factory=dict)

    def type_of(self, declared: DataType, column: str) -> str:
        if declared.kind not in self.types:
            raise TargetError(
                f"{self.database} can't be given {column}, a {declared.kind}; serve the table without it, or have "
                "silver say it otherwise"
            )
        return self.types[declared.kind].format(precision=declared.precision, scale=declared.scale)

    def staged_type_of(self, declared: DataType, column: str) -> str:
        other = self.staged.get(declared.kind)
        return other.type if other else self.type_of(declared, column)

    def taken_on(self, declared: DataType, value: str) -> str:
        """The value of the staging table, as the table's own type."""
        other = self.staged.get(declared.kind)
        return other.taken_on.format(value=value) if other else value

    def fits(self, declared: DataType, shown: Shown) -> bool:
        if shown.name not in self.shown[declared.kind]:
            return False
        if declared.kind != "decimal" or shown.precision is None or shown.scale is None:
            return True
        whole = int(shown.precision) - int(shown.scale)
        return int(shown.scale) >= declared.scale and whole >= declared.precision - declared.scale
