"""What Salesforce says an object has, held against what is declared: the fields to ask for, and the drift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_platform.connectors.base import Drift, SourceError, drift_of
from data_platform.declarations import BOOLEAN, Column, DataType, Incremental, SourceTable

DELETED: Final = "IsDeleted"

COMPOUND: Final = frozenset({"address", "location"})
NUMBERS: Final = frozenset({"int", "long", "double", "currency", "percent"})
# The declared kinds that hold a vendor's type without loss; every type that is not named is text.
_HELD_BY: Final[dict[str, tuple[str, ...]]] = {
    "boolean": ("boolean",),
    "int": ("bigint", "decimal", "double"),
    "long": ("bigint", "decimal", "double"),
    "double": ("decimal", "double"),
    "currency": ("decimal", "double"),
    "percent": ("decimal", "double"),
    "date": ("date",),
    "datetime": ("timestamp",),
    "base64": ("binary",),
    "address": ("json",),
    "location": ("json",),
    "complexvalue": ("json",),
}


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    scale: int
    calculated: bool
    compound: str | None

    def fits(self, declared: DataType) -> bool:
        kinds = _HELD_BY.get(self.type, ("string",))
        if self.type in NUMBERS and self.scale == 0:
            kinds = (*kinds, "bigint")
        return declared.kind in kinds

    @property
    def says(self) -> str:
        return f"{self.type}, calculated" if self.calculated else self.type


class Described:
    """An object's fields as they are today, seen from a table's declaration."""

    def __init__(self, table: SourceTable, load: Incremental, said: Mapping[str, Any]) -> None:
        self._table = table
        self.fields = {field["name"]: _field(field) for field in said["fields"]}
        self.replicates = bool(said.get("replicateable", True))
        self._must_have((*table.key, load.cursor))
        self.columns = self._columns()
        self.undeclared = self._undeclared()

    @property
    def asked(self) -> list[str]:
        """The fields that a question names."""
        return [column.name for column in self.columns] + [field.name for field in self.undeclared]

    @property
    def marks_deleted(self) -> bool:
        return DELETED in self.fields

    @property
    def formulas(self) -> list[str]:
        return [name for name in self.asked if self.fields[name].calculated]

    def parts(self, compound: str) -> list[Field]:
        """The fields that a compound is made of."""
        return [part for part in self.fields.values() if part.compound == compound and part.name != compound]

    def drift(self) -> list[Drift]:
        return drift_of(self._table, self.fields, [field.name for field in self.undeclared])

    def _columns(self) -> list[Column]:
        """What is read into columns: the declared ones that are there, and the mark of deletion."""
        columns = [column for column in self._table.columns if column.name in self.fields]
        if self.marks_deleted and DELETED not in self._table.by_name:
            columns.append(Column(DELETED, BOOLEAN))
        return columns

    def _undeclared(self) -> list[Field]:
        """What nobody declared or ignored, but for compounds, whose parts say the same, for the parts of a
        declared compound, which holds them, and for files, which no query returns."""
        known = {*self._table.by_name, *self._table.ignores, DELETED}
        return [
            field
            for field in self.fields.values()
            if field.name not in known
            and field.type not in (*COMPOUND, "base64")
            and not self._is_held_by_declared_compound(field)
        ]

    def _is_held_by_declared_compound(self, part: Field) -> bool:
        compound = self.fields.get(part.compound or "")
        return compound is not None and compound.type in COMPOUND and compound.name in self._table.by_name

    def _must_have(self, names: Sequence[str]) -> None:
        lost = [name for name in names if name not in self.fields]
        if lost:
            raise SourceError(
                f"Salesforce's {self._table.reads} no longer shows {', '.join(lost)}, by which "
                f"{self._table.system}.{self._table.name} is read. Give the platform's user read access to it"
            )


def _field(said: Mapping[str, Any]) -> Field:
    return Field(
        name=said["name"],
        type=said["type"],
        scale=said.get("scale") or 0,
        calculated=bool(said.get("calculated")),
        compound=said.get("compoundFieldName"),
    )
