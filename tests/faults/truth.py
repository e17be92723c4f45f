"""What tables must hold, by the company's own account, and how they differ from it.

The company knows its records as they are now. What they were when an earlier load saw them is noted down here.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from data_platform.declarations import Column, Normalise, SourceTable
from data_platform.lake.tables import Lake
from sandbox.world.company import World
from tests.faults.result import Difference, Row
from tests.faults.undecodable import is_undecodable, origin_of

# The planted faults by which a row breaks an error rule, and so waits in quarantine.
KEPT_OUT = frozenset({"bad_email", "negative_revenue", "negative_amount", "huge_amount"})

Version = tuple[str, datetime, str]


class Truth:
    """The versions of one table's records that loads have had the chance to see."""

    def __init__(self, world: World, table: SourceTable) -> None:
        self.world = world
        self.table = table
        self.versions: dict[Version, Row] = {}

    def note(self) -> None:
        """Takes down the records as they are now; called before a load."""
        for row in self.world.truth(self.table.name):
            self.versions.setdefault(_version(row, "delete" if row["IsDeleted"] else "upsert"), row)

    def bronze(self, *, undecodable: bool = False) -> dict[Version, Row]:
        """Every version, with the declared columns."""
        return {
            version: {column.name: row.get(column.name) for column in self.table.columns} | {"_rescued": None}
            for version, row in self.versions.items()
            if not (undecodable and is_undecodable(row["Id"]))
        }

    def newest(self) -> dict[str, Row]:
        order = sorted(self.versions.items(), key=lambda held: held[0][1])
        return {row["Id"]: {**row, "_op": version[2]} for version, row in order}

    def silver(self) -> dict[str, Row]:
        """Each record's newest version, cleaned, but for those that break an error rule."""
        kept_out = self._kept_out()
        return {
            key: {
                column.silver_name: cleaned(column, row.get(column.name))
                for column in silver_columns(self.table)
            }
            | {"is_deleted": row["_op"] == "delete"}
            for key, row in self.newest().items()
            if key not in kept_out
        }

    def quarantine(self) -> dict[str, Row]:
        modified = self.table.by_name["SystemModstamp"].silver_name
        return {key: {modified: self.newest()[key]["SystemModstamp"]} for key in self._kept_out()}

    def _kept_out(self) -> set[str]:
        planted = self.world.planted_ids[self.table.name]
        return {key for fault, keys in planted.items() if fault in KEPT_OUT for key in keys}


def silver_columns(table: SourceTable) -> list[Column]:
    return [column for column in table.columns if column.silver_name]


def cleaned(column: Column, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match column.normalise:
        case Normalise.LOWER:
            return value.strip().lower()
        case Normalise.UPPER:
            return value.strip().upper()
        case Normalise.PHONE:
            return re.sub(r"[\s().-]", "", value)
        case _:
            return value.strip()


def bronze_differs(
    lake: Lake, truth: Truth, *, undecodable: bool = False, shown: Callable[[Row], Row] = lambda row: row
) -> Difference:
    """Every (Id, SystemModstamp, op) exactly once, column by column; and what can't be decoded in quarantine once.

    `shown` says how a record of the truth shows in bronze, where that isn't as it is.
    """
    table = truth.table
    rows = map(_plain, held(lake, f"bronze/{table.system}/{table.name}"))
    expected = {version: shown(row) for version, row in truth.bronze(undecodable=undecodable).items()}
    found = Difference.between(expected, rows, lambda row: _version(row, row["_op"]))
    if not undecodable:
        return found
    rejected = {
        origin_of(row["Id"], row["SystemModstamp"]): {"_body": row["Id"].encode()}
        for row in truth.versions.values()
        if is_undecodable(row["Id"])
    }
    quarantined = held(lake, f"quarantine/{table.system}/{table.name}")
    return found + Difference.between(rejected, quarantined, lambda row: row["_origin"])


def silver_differs(lake: Lake, truth: Truth) -> Difference:
    """Each record once as its newest version, in silver or, where it breaks an error rule, in quarantine."""
    table, key = truth.table, truth.table.silver_key[0]
    good = held(lake, f"silver/{table.silver_name}")
    kept_back = held(lake, f"quarantine/silver/{table.silver_name}")
    return Difference.between(truth.silver(), good, lambda row: row[key]) + Difference.between(
        truth.quarantine(), kept_back, lambda row: row[key]
    )


# The marts that hold a row per record, and which of their rows are the record as it is now.
OF_RECORDS = {
    "leads": ("crm.fct_leads", "true"),
    "opportunities": ("crm.fct_opportunities", "true"),
    "accounts": ("core.dim_accounts", "is_current"),
    "contacts": ("core.dim_contacts", "is_current"),
}


def gold_differs_from_truth(warehouse: Path, truth: Truth) -> Difference:
    """Facts hold every record, dimensions the living ones as current, in the columns that silver has too."""
    name, now = OF_RECORDS[truth.table.name]
    rows = asked(warehouse, f"select * from {name} where {now}")
    shared = set(rows[0] if rows else ()) & {column.silver_name for column in silver_columns(truth.table)}
    expected = {
        key: {column: value for column, value in row.items() if column in shared}
        for key, row in truth.silver().items()
        if now == "true" or not row["is_deleted"]
    }
    return Difference.between(expected, rows, lambda row: row[truth.table.silver_key[0]])


def gold_differs(warehouse: Path, undisturbed: Path) -> Difference:
    """Every table of gold against the same one of a chain that nobody disturbed."""
    found = Difference()
    for name in tables_of(undisturbed):
        expected, rows = (asked(gold, f"select * from {name}") for gold in (undisturbed, warehouse))
        found += _differ(expected, rows)
    return found


def lake_differs(lake: Lake, warehouse: Path) -> Difference:
    """Every table of gold in the lake against the one that analysts see."""
    found = Difference()
    for name in tables_of(warehouse):
        rows = [
            {column: _in_utc(value) for column, value in row.items()}
            for row in held(lake, f"gold/{name.split('.')[1]}")
        ]
        found += _differ(asked(warehouse, f"select * from {name}"), rows)
    return found


def _differ(expected: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Difference:
    wanted, there = Counter(map(_whole, expected)), Counter(map(_whole, rows))
    lost, added = (wanted - there).total(), (there - wanted).total()
    differing = min(lost, added)
    return Difference(lost - differing, added - differing, differing)


def tables_of(warehouse: Path) -> list[str]:
    return [
        row["name"]
        for row in asked(warehouse, "select schema_name || '.' || table_name as name from duckdb_tables()")
    ]


def asked(warehouse: Path, question: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows: list[dict[str, Any]] = connection.execute(question).to_arrow_table().to_pylist()
        return [{name: _in_utc(value) for name, value in row.items()} for row in rows]


def held(lake: Lake, name: str) -> list[dict[str, Any]]:
    table = lake.at(*name.split("/"))
    return table.query("select * from held").to_pylist() if table.exists else []


def _version(row: Mapping[str, Any], op: str) -> Version:
    return row["Id"], row["SystemModstamp"], op


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Compounds as what their JSON says."""
    return {
        name: json.loads(value) if name.endswith("Address") and value else value
        for name, value in row.items()
    }


def _whole(row: Row) -> tuple[Any, ...]:
    return tuple(map(str, row.values()))


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
