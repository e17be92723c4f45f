"""Silver of a small company, drawn from the declarations alone: each column a few values, ids that meet across tables.

It knows no table by name, so that what a new model reads is there too.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa

from data_platform.declarations import Column, DataType
from data_platform.lake.schema import TIMESTAMP_TYPE, arrow_type
from data_platform.lake.tables import Lake
from tests.integration.served.conftest import Silver

FIRST = datetime(2026, 1, 30, 22, 15, tzinfo=UTC)
ROWS = 24
_OF_CUSTOMERS = ("source_id", "user_id", "visitor_id")
_SAID = {
    "currency": ("USD", "EUR"),
    "platform": ("facebook", "google"),
    "status": ("placed", "paid", "Open - Not Contacted", "Working - Contacted"),
    "customer_kind": ("person", "company"),
    "system": ("shop", "salesforce_accounts", "salesforce_contacts", "salesforce_leads", "clevertap"),
}


def drawn(random: Random, name: str, declared: DataType) -> Any:
    """A value of a column."""
    if declared.kind == "string":
        return _text(random, name)
    days, seconds = timedelta(days=random.randrange(40)), timedelta(seconds=random.randrange(86_400))
    whole = random.randrange(40)
    return {
        "json": f'{{"colour": "{random.choice(["red", "blue"])}"}}',
        "boolean": whole < 20,
        "bigint": whole,
        "double": whole * 10 + 0.25,
        "decimal": Decimal(random.randrange(10 ** min(declared.precision, 5))).scaleb(-declared.scale),
        "date": FIRST.date() + days,
        "timestamp": FIRST + days + seconds,
        "list": [],
        "binary": b"",
    }.get(declared.kind)


def _text(random: Random, name: str) -> str:
    if name in _SAID:
        return random.choice(_SAID[name])
    if name.endswith("_id"):
        # The ids of one kind meet: account_id and converted_account_id.
        kind = "customer" if name in _OF_CUSTOMERS else name.split("_")[-2]
        return f"{kind}-{random.randrange(12)}"
    return f"{name} {random.choice(['a', 'b', 'é', ''])}".strip()


class Table(Silver):
    """One silver table, with rows that are drawn."""

    def __init__(
        self, lake: Lake, name: str, key: tuple[str, ...], columns: Mapping[str, Column], filled: set[str]
    ) -> None:
        self.columns = columns
        self.filled = filled | set(key) | {name for name, column in columns.items() if column.required}
        types = [(name, arrow_type(column.type)) for name, column in columns.items()]
        super().__init__(lake, name, pa.schema([*types, ("_landed_at", TIMESTAMP_TYPE)]), key)

    def draw(self, random: Random, number: int) -> None:
        """Some rows, new and known."""
        self.change(*(self._row(random) for _ in range(number)))

    def remove(self, random: Random, number: int) -> None:
        keys = sorted(self.rows, key=str)
        self.delete(*(keys[place] for place in sorted(random.sample(range(len(keys)), number))))

    def _row(self, random: Random) -> dict[str, Any]:
        """Null now and then, where a column may be."""
        row = {
            name: drawn(random, name, column.type) if name in self.filled or random.random() > 0.1 else None
            for name, column in self.columns.items()
        }
        return row | {"_landed_at": FIRST + timedelta(days=60, hours=self.batch)}


def silver_of(lake: Lake, wanted: set[str], filled: set[str]) -> list[Table]:
    """The tables of these names, empty; columns that are `filled` hold a value in every row."""
    from data_platform.silver.catalogue import JOINED
    from data_platform.sources.catalogue import TABLES

    told = {
        table.silver_name: (
            tuple(table.silver_key),
            {c.silver_name: c for c in table.columns if c.silver_name},
        )
        for table in TABLES
    } | {table.name: (table.key, {column.name: column for column in table.columns}) for table in JOINED}
    return [Table(lake, name, *told[name], filled) for name in sorted(wanted)]


def plain(value: Any) -> Any:
    """A value as all warehouses can say it: moments in UTC, numbers by their value."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool | str | date) or value is None:
        return value
    if isinstance(value, float):
        return Decimal(f"{value:.10g}")
    return Decimal(value).normalize() + 0
