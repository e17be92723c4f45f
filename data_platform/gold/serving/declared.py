"""What it is to be served: which rows and columns of a silver table a target holds, under which names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_platform.declarations import DataType, DeclarationError
from data_platform.declarations.columns import SILVER_NAME

# A value with an inner shape has no one form in a database's table.
_NOT_SERVED = ("list", "struct")
# By which the staging table says what becomes of a row; no column of ours.
IS_DELETED = "is_deleted"


@dataclass(frozen=True)
class ServedColumn:
    """A column of the target; `reads` is its name in silver, where that is another."""

    name: str
    type: DataType
    reads: str = ""
    sensitive: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if not SILVER_NAME.match(self.name):
            raise DeclarationError(
                f"column {self.name!r} is not snake_case, and a database would change its letters or refuse it"
            )
        if self.type.kind in _NOT_SERVED:
            raise DeclarationError(
                f"column {self.name} is a {self.type.kind}, which is not served; leave it out, or take it apart"
            )
        if self.name == IS_DELETED:
            raise DeclarationError("is_deleted can't be served: rows that are deleted are not in a target")

    @property
    def silver_name(self) -> str:
        return self.reads or self.name


@dataclass(frozen=True)
class Served:
    """A table that targets hold of a silver table: of its live rows those with the values of `where`, by some columns.

    The key, and the columns that `where` gives a value, are together the silver table's key. So the key tells the
    target's rows apart, and a row that is in the target never leaves it but by being deleted.
    """

    name: str
    source: str
    description: str
    owner: str
    key: tuple[str, ...]
    columns: tuple[ServedColumn, ...]
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not SILVER_NAME.match(self.name):
            raise DeclarationError(f"the served table {self.name!r} is not snake_case; write another name")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DeclarationError(
                f"{self.name} serves {', '.join(twice)} twice; give each a name of its own"
            )
        if not self.key or not set(self.key) <= set(names):
            raise DeclarationError(
                f"{self.name} is kept by its key, and {', '.join(self.key) or 'nothing'} is not what it serves; name "
                "columns of it"
            )

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that are not its key: what a change gives another value."""
        return tuple(column.name for column in self.columns if column.name not in self.key)
