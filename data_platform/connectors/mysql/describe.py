"""What MySQL says a table has, held against what is declared: how each column is asked for, and the drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from data_platform.connectors.base import Drift, SourceError, drift_of
from data_platform.declarations import DataType, SourceTable

_INTEGERS: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_FLOATS: Final = frozenset({"float", "double"})
_BYTES: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
# The declared kinds that hold a type of MySQL's without loss; every type that is not named is text.
_HELD_BY: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_INTEGERS, ("bigint", "decimal")),
    # A truth is a tinyint here.
    "tinyint": ("bigint", "decimal", "boolean"),
    "bit": ("bigint", "boolean"),
    "year": ("bigint",),
    **dict.fromkeys(_FLOATS, ("double",)),
    "decimal": ("decimal",),
    "date": ("date",),
    "datetime": ("timestamp",),
    "timestamp": ("timestamp",),
    **dict.fromkeys(_BYTES, ("binary",)),
    "json": ("json", "string"),
    "longtext": ("string", "json"),
}


@dataclass(frozen=True)
class Field:
    """A column as the server describes it. `digits` and `scale` are a decimal's, `fraction` a moment's."""

    name: str
    type: str
    says: str
    digits: int
    scale: int
    fraction: int

    def fits(self, declared: DataType) -> bool:
        if declared.kind not in _HELD_BY.get(self.type, ("string",)):
            return False
        if self.type == "decimal":
            return (
                self.scale <= declared.scale
                and self.digits - self.scale <= declared.precision - declared.scale
            )
        return True

    @property
    def selected(self) -> str:
        """How it is asked for: as text where the client would round it, or fall over a date of zeros."""
        name = quoted(self.name)
        if self.type in _INTEGERS | _FLOATS | _BYTES | _TEXTS:
            return name
        asked = f"cast({name} as unsigned)" if self.type == "bit" else f"cast({name} as char)"
        return f"{asked} as {name}"


class Described:
    """A table's columns as they are today, seen from its declaration."""

    def __init__(self, table: SourceTable, cursor: str, fields: Sequence[Field]) -> None:
        self._table = table
        self.fields = {field.name: field for field in fields}
        for name in (*table.key, cursor):
            if name not in self.fields:
                raise SourceError(
                    f"{table.system}.{table.name} is read by {name}, and MySQL's {table.reads} has no such column. "
                    "Declare the key and cursor that it has now"
                )
        self.undeclared = [
            name for name in self.fields if name not in table.by_name and name not in table.ignores
        ]

    @property
    def selected(self) -> str:
        asked = [field for name, field in self.fields.items() if name not in self._table.ignores]
        return ", ".join(field.selected for field in asked)

    def drift(self) -> list[Drift]:
        return drift_of(self._table, self.fields, self.undeclared)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
