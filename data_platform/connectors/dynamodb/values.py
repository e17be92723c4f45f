"""DynamoDB's attributes in the declared types.

An attribute says its own type. What does not fit the declared one is rescued, and so is a list or a map in which
something does not fit or is not declared: as a whole, beside what of it does fit. In JSON, a set is a list in order,
bytes are base64, and a number keeps all of its digits. An attribute that is NULL and one that is missing are both
null in a column; in what is rescued, and within JSON, the one is null and the other missing.
"""

from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from data_platform.connectors.dynamodb.session import Item
from data_platform.connectors.nested import Misfit, Written
from data_platform.connectors.records import (
    ENCODER,
    Rescues,
    Rows,
    exact_number,
    moment_of,
    rescued_of,
    shaped,
)
from data_platform.declarations import Column, DataType

# An attribute as the API writes it: its type and its value.
Attribute = Mapping[str, Any]
# Seconds since 1970 have fewer digits than this for the next 3,000 years; milliseconds have more.
_MILLISECONDS: Final = 10**11
_LARGEST: Final = 2**63


def rows_of(items: Sequence[Item], columns: Sequence[Column]) -> Rows:
    rescues: Rescues = defaultdict(dict)
    held = {
        column.name: shaped([item.get(column.name) for item in items], column, _WRITTEN, rescues)
        for column in columns
    }
    for place, item in enumerate(items):
        for name in item.keys() - held.keys():
            rescues[place][name] = plain(item[name])
    return Rows(held, rescued_of(rescues, len(items)))


def plain(attribute: Attribute) -> Any:
    """An attribute as JSON would write it."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return exact_number(value)
        case "NULL":
            return None
        case "M":
            return {name: plain(inner) for name, inner in value.items()}
        case "L":
            return [plain(inner) for inner in value]
        case "SS":
            return sorted(value)
        case "NS":
            return sorted(map(exact_number, value))
        case "B":
            return b64encode(value).decode()
        case "BS":
            return sorted(b64encode(inner).decode() for inner in value)
        case _:
            return value


def _is_missing(attribute: Attribute | None) -> bool:
    return attribute is None or "NULL" in attribute


def _listed(attribute: Attribute) -> Sequence[Attribute]:
    ((kind, value),) = attribute.items()
    if kind == "L":
        return list(value)
    if kind in ("SS", "NS", "BS"):
        return [{kind[0]: inner} for inner in sorted(value, key=Decimal if kind == "NS" else None)]
    raise Misfit


def _fields(attribute: Attribute) -> Mapping[str, Attribute]:
    ((kind, value),) = attribute.items()
    if kind != "M":
        raise Misfit
    fields: Mapping[str, Attribute] = value
    return fields


def _plain(attribute: Attribute, declared: DataType) -> Any:
    ((kind, value),) = attribute.items()
    if declared.kind == "json":
        return ENCODER.encode(plain(attribute)).decode()
    return _SCALARS[declared.kind](kind, value)


_WRITTEN: Final = Written(_is_missing, _listed, _fields, _plain, kept=plain)


def _as(wanted: str, read: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    def value_of(kind: str, value: Any) -> Any:
        if kind != wanted:
            raise Misfit
        return read(value)

    return value_of


def _whole(text: str) -> int:
    number = Decimal(text)
    if number != number.to_integral_value() or not -_LARGEST <= number < _LARGEST:
        raise Misfit
    return int(number)


def _moment(kind: str, value: str) -> datetime:
    """A text by ISO 8601, in UTC unless it says otherwise, or a number since 1970, as a time to live is."""
    if kind == "N":
        number = Decimal(value)
        return datetime.fromtimestamp(float(number / 1_000 if abs(number) >= _MILLISECONDS else number), UTC)
    if kind != "S":
        raise Misfit
    return moment_of(value)


_SCALARS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "string": _as("S", str),
    "boolean": _as("BOOL", bool),
    "bigint": _as("N", _whole),
    "double": _as("N", float),
    "decimal": _as("N", Decimal),
    "date": _as("S", date.fromisoformat),
    "timestamp": _moment,
    "binary": _as("B", bytes),
}
