"""Records as the vendor writes them: JSON for REST, CSV for Bulk. What is written is kept until a change."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from json.encoder import encode_basestring as quoted
from typing import Any

from sandbox.salesforce.fields import TEXTS, Field, SObject
from sandbox.world.company import World

ADDRESS = (
    '{"city":%s,"country":%s,"geocodeAccuracy":null,"latitude":null,"longitude":null,'
    '"postalCode":%s,"state":%s,"street":%s}'
)
Written = Callable[[Sequence[Any]], list[str]]


def moment_text(seconds: int, zone: str = "+0000") -> str:
    """`2026-01-01T10:11:12.000+0000`; Bulk writes the zone as Z."""
    days, rest = divmod(seconds, 86_400)
    return f"{_day_text(days)}T{_clock_texts()[rest]}.000{zone}"


@cache
def _clock_texts() -> list[str]:
    return [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]


@cache
def _day_text(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


@cache
def number_text(value: Decimal | float | int) -> str:
    """A number as Java writes a double: `15000.0`, and `1.39E8` from ten million on."""
    exact = Decimal(str(value))
    if exact == 0:
        return "0.0"
    sign, digits, exponent = exact.normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    minus = "-" if sign else ""
    if -3 < point <= 7:
        whole, part = (
            (text[:point].ljust(point, "0"), text[point:]) if point > 0 else ("0", "0" * -point + text)
        )
        return f"{minus}{whole}.{part or '0'}"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{point - 1}"


def _json_texts(values: Sequence[Any]) -> list[str]:
    return ["null" if v is None else quoted(v if isinstance(v, str) else str(v)) for v in values]


def _json_booleans(values: Sequence[Any]) -> list[str]:
    return ["true" if v else "false" for v in values]


def _json_numbers(values: Sequence[Any]) -> list[str]:
    return ["null" if v is None else number_text(v) for v in values]


JSON_WRITERS: dict[str, Written] = {
    **dict.fromkeys(TEXTS, _json_texts),
    "boolean": _json_booleans,
    "int": lambda values: ["null" if v is None else str(v) for v in values],
    **dict.fromkeys(("double", "currency", "percent"), _json_numbers),
    "date": lambda values: ["null" if v is None else f'"{v.isoformat()}"' for v in values],
    "datetime": lambda values: ["null" if v is None else f'"{moment_text(v)}"' for v in values],
}


def _csv_texts(values: Sequence[Any]) -> list[str]:
    texts = ["" if v is None else v if isinstance(v, str) else str(v) for v in values]
    return [text.replace('"', '""') if '"' in text else text for text in texts]


CSV_WRITERS: dict[str, Written] = {
    **dict.fromkeys(TEXTS, _csv_texts),
    "boolean": _json_booleans,
    "int": lambda values: ["" if v is None else str(v) for v in values],
    **dict.fromkeys(
        ("double", "currency", "percent"),
        lambda values: ["" if v is None else number_text(v) for v in values],
    ),
    "date": lambda values: ["" if v is None else v.isoformat() for v in values],
    "datetime": lambda values: ["" if v is None else moment_text(v, "Z") for v in values],
}


class Writer:
    """Writes records of one object with one list of fields."""

    def __init__(self, world: World, sobject: SObject, fields: Sequence[Field]) -> None:
        self.sobject = sobject
        self.fields = fields
        self.records = world.records(sobject.table)

    def json(self, places: Sequence[int], version: str) -> bytes:
        """The records, with commas between them."""
        shelf = self.records.shelf(("json", version, *((each.name, each.type) for each in self.fields)))
        return b",".join(self._from_shelf(shelf, places, lambda missing: self._write_json(missing, version)))

    def csv(self, places: Sequence[int]) -> list[bytes]:
        """One line per record, each with its line's end."""
        shelf = self.records.shelf(("csv", *((each.name, each.type) for each in self.fields)))
        return self._from_shelf(shelf, places, self._write_csv)

    @staticmethod
    def _from_shelf(
        shelf: list[bytes | None], places: Sequence[int], write: Callable[[list[int]], list[bytes]]
    ) -> list[bytes]:
        missing = [place for place in places if shelf[place] is None]
        for start in range(0, len(missing), 10_000):
            part = missing[start : start + 10_000]
            for place, written in zip(part, write(part), strict=True):
                shelf[place] = written
        return [each for each in map(shelf.__getitem__, places) if each is not None]

    def _write_json(self, places: list[int], version: str) -> list[bytes]:
        name = self.sobject.name
        url = f"/services/data/{version}/sobjects/{name}/%s"
        members = ",".join(f'"{each.name}":%s' for each in self.fields)
        template = f'{{"attributes":{{"type":"{name}","url":"{url}"}},{members}}}'
        ids = [self.records.ids[place] for place in places]
        columns = [self._json_column(each, places) for each in self.fields]
        return [(template % row).encode() for row in zip(ids, *columns, strict=True)]

    def _json_column(self, field: Field, places: list[int]) -> list[str]:
        if field.type == "address":
            return self._addresses(field.name.removesuffix("Address"), places)
        column = self.records.columns[field.name]
        return JSON_WRITERS[field.type]([column[place] for place in places])

    def _addresses(self, prefix: str, places: list[int]) -> list[str]:
        parts = []
        for part in ("City", "Country", "PostalCode", "State", "Street"):
            column = self.records.columns[f"{prefix}{part}"]
            parts.append(_json_texts([column[place] for place in places]))
        nothing = ("null",) * len(parts)
        return ["null" if row == nothing else ADDRESS % row for row in zip(*parts, strict=True)]

    def _write_csv(self, places: list[int]) -> list[bytes]:
        columns = []
        for field in self.fields:
            column = self.records.columns[field.name]
            columns.append(CSV_WRITERS[field.type]([column[place] for place in places]))
        return [f'"{line}"\n'.encode() for line in map('","'.join, zip(*columns, strict=True))]


def http_date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
