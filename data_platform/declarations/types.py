"""The types of columns: what can be declared, stored and read back exactly."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_platform.declarations.columns import Column


class DeclarationError(ValueError):
    """A declaration that would do harm later; the message says which, why and what to write instead."""


@dataclass(frozen=True)
class DataType:
    """A column's type. `of` is a list's element; `fields` are a struct's."""

    kind: str
    precision: int = 0
    scale: int = 0
    of: "DataType | None" = None
    fields: "tuple[Column, ...]" = ()

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "list":
            return f"array<{self.of}>"
        if self.kind == "struct":
            return f"struct<{','.join(f'{c.name}:{c.type}' for c in self.fields)}>"
        return self.kind


STRING = DataType("string")
BOOLEAN = DataType("boolean")
INTEGER = DataType("bigint")
DOUBLE = DataType("double")
DATE = DataType("date")
TIMESTAMP = DataType("timestamp")
BINARY = DataType("binary")
# A value with an inner shape that we keep as the source wrote it: a string of JSON.
JSON = DataType("json")


def DECIMAL(precision: int, scale: int) -> DataType:  # noqa: N802 - reads as the type it is.
    if not 0 < precision <= 38 or not 0 <= scale <= precision:
        raise DeclarationError(
            f"DECIMAL({precision}, {scale}) can't be stored: precision goes from 1 to 38 and scale from 0 to it"
        )
    return DataType("decimal", precision, scale)


def LIST(of: DataType) -> DataType:  # noqa: N802
    return DataType("list", of=of)


def STRUCT(*fields: "Column") -> DataType:  # noqa: N802
    return DataType("struct", fields=fields)
