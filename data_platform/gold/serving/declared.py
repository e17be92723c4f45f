"""What it is to be served: which rows and columns of a silver table a target holds, under which names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from data_platform.declarations import DataType, DeclarationError
from data_platform.declarations.columns import SILVER_NAME

# A value with an inner shape has no one form in a database's table.
NOT_SERVED = ("list", "struct")
# By which the staging table says what becomes of a row.
IS_DELETED = "is_deleted"
# What silver says of a row, beside the declared columns.
_OF_SILVER = (IS_DELETED, "_batch", "_landed_at")


@dataclass(frozen=True)
class ServedColumn:
    """A column of the target; `reads` is its name in silver, where that is another."""

    name: str
    type: DataType
    reads: str = ""
    sensitive: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if not SILVER_NAME.match(self.name) and self.name not in _OF_SILVER:
            raise DeclarationError(
                f"column {self.name!r} is not snake_case, and a database would change its letters or refuse it"
            )
        if self.type.kind in NOT_SERVED:
            raise DeclarationError(
                f"column {self.name} is a {self.type.kind}, which is not served; leave it out, or take it apart"
            )

    @property
    def silver_name(self) -> str:
        return self.reads or self.name


@dataclass(frozen=True)
class Served:
    """A table that targets hold of a silver table: of its live rows those with the values of `where`, by some columns.

    The key, and the columns that `where` gives a value, are together the silver table's key. So the key tells the
    target's rows apart, and a row that is in the target never leaves it but by being deleted. A table that
    `keeps_deleted` has silver's deleted rows too, and is_deleted among its columns. It is in `schema`, or in the
    current one.
    """

    name: str
    source: str
    description: str
    owner: str
    key: tuple[str, ...]
    columns: tuple[ServedColumn, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    keeps_deleted: bool = False

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
        if (IS_DELETED in names) != self.keeps_deleted:
            raise DeclarationError(
                f"is_deleted can't be served of {self.name}: rows that are deleted are not in it"
                if IS_DELETED in names
                else f"{self.name} keeps deleted rows and does not say which they are; serve is_deleted"
            )

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that are not its key: what a change gives another value."""
        return tuple(column.name for column in self.columns if column.name not in self.key)

    @property
    def place(self) -> str:
        """As people name it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name
