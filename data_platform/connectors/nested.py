"""Lists and objects in their declared types, as deep as these go, whatever way a source writes them.

What does not fit is left out, and so is what is not declared; who asks is told of it, and keeps the whole beside what
does fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_platform.declarations import DataType


class Misfit(Exception):
    """A value that its declared type does not hold."""


class Loss:
    """Whether something within a value was left out of its column."""

    def __init__(self) -> None:
        self.happened = False


@dataclass(frozen=True)
class Written:
    """How a source writes values: what of each makes a list, an object, or a plain value of a type, or `Misfit`; and
    what is kept of one that is rescued."""

    is_missing: Callable[[Any], bool]
    listed: Callable[[Any], Sequence[Any]]
    fields: Callable[[Any], Mapping[str, Any]]
    plain: Callable[[Any, DataType], Any]
    kept: Callable[[Any], Any]


# Arrow takes lists of these as JSON has them.
_LISTED: Final = frozenset({"string", "boolean", "bigint", "double", "decimal"})


def is_nested(declared: DataType) -> bool:
    """An object, or a list of what JSON has no value for."""
    return declared.kind == "struct" or (declared.of is not None and declared.of.kind not in _LISTED)


def as_declared(value: Any, declared: DataType, written: Written, loss: Loss) -> Any:
    """The value as Arrow takes it for the declared type."""
    if written.is_missing(value):
        return None
    try:
        if declared.of is not None:
            return [as_declared(inner, declared.of, written, loss) for inner in written.listed(value)]
        if declared.kind == "struct":
            return _object(written.fields(value), declared, written, loss)
        return written.plain(value, declared)
    except (Misfit, ValueError, ArithmeticError, OverflowError):
        loss.happened = True
        return None


def _object(fields: Mapping[str, Any], declared: DataType, written: Written, loss: Loss) -> dict[str, Any]:
    types = {field.name: field.type for field in declared.fields}
    if fields.keys() - types.keys():
        loss.happened = True
    return {name: as_declared(fields.get(name), type_, written, loss) for name, type_ in types.items()}
