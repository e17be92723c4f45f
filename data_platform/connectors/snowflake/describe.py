"""What Snowflake says a table has, held against what is declared: how each column is asked for, and the drift.

Snowflake writes names in capitals unless they were quoted, so a declared name stands for it in any case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata

from data_platform.connectors.base import Drift, SourceError, drift_of
from data_platform.declarations import DataType, SourceTable

# The declared kinds that hold a type of Snowflake's without loss; every type that is not named is text.
_HELD_BY: Final[dict[str, tuple[str, ...]]] = {
    "REAL": ("double",),
    "DATE": ("date",),
    "TIMESTAMP_NTZ": ("timestamp",),
    "TIMESTAMP_LTZ": ("timestamp",),
    "TIMESTAMP_TZ": ("timestamp",),
    "BOOLEAN": ("boolean",),
    "BINARY": ("binary",),
    "VARIANT": ("json", "string"),
    "OBJECT": ("json", "string"),
    "ARRAY": ("json", "string"),
}


@dataclass(frozen=True)
class Field:
    """A column as Snowflake describes it, under the name that we declare it by."""

    name: str
    theirs: str
    type: str
    precision: int
    scale: int

    @property
    def says(self) -> str:
        return f"NUMBER({self.precision},{self.scale})" if self.type == "FIXED" else self.type

    @property
    def selected(self) -> str:
        return f"{quoted(self.theirs)} as {quoted(self.name)}"

    def fits(self, declared: DataType) -> bool:
        if self.type != "FIXED":
            return declared.kind in _HELD_BY.get(self.type, ("string",))
        if declared.kind == "decimal":
            whole = declared.precision - declared.scale
            return self.scale <= declared.scale and self.precision - self.scale <= whole
        # NUMBER alone is NUMBER(38, 0), by which whole numbers of any size are kept.
        return declared.kind == "bigint" and self.scale == 0


class Described:
    """A table's columns as they are today, seen from its declaration."""

    def __init__(self, table: SourceTable, cursor: str, said: Sequence[ResultMetadata]) -> None:
        self._table = table
        declared = {name.upper(): name for name in (*table.by_name, *table.ignores)}
        fields = [_field(column, declared.get(column.name.upper(), column.name)) for column in said]
        self.fields = {field.name: field for field in fields if field.name not in table.ignores}
        for name in (*table.key, cursor):
            if name not in self.fields:
                raise SourceError(
                    f"{table.system}.{table.name} is read by {name}, and Snowflake's {table.reads} has no such column. "
                    "Declare the key and cursor that it has now"
                )
        self.undeclared = [name for name in self.fields if name not in table.by_name]

    @property
    def selected(self) -> str:
        return ", ".join(field.selected for field in self.fields.values())

    def drift(self) -> list[Drift]:
        return drift_of(self._table, self.fields, self.undeclared)


def _field(column: ResultMetadata, name: str) -> Field:
    kind = FIELD_ID_TO_NAME[column.type_code]
    return Field(name, column.name, kind, column.precision or 0, column.scale or 0)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
