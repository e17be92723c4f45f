"""The company's people as silver holds their records, written without their sources; and how well they were found.

What customer_identities and customers read, in silver's names. Orders stand for all tables that mention a customer.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from data_platform.declarations import Normalise, SourceTable
from data_platform.lake.schema import arrow_type
from data_platform.lake.tables import Lake, Note
from data_platform.sources.clevertap import CLEVERTAP_PROFILES
from data_platform.sources.postgres import CUSTOMERS
from data_platform.sources.salesforce import ACCOUNTS, CONTACTS, LEADS
from data_platform.sources.snowflake import CUSTOMER_ORDERS
from sandbox.world.company import World
from sandbox.world.engagement import EngagementWorld
from sandbox.world.people import People, Record
from sandbox.world.shop import Shop, Unheld

Row = dict[str, Any]
IN_CRM = (ACCOUNTS, CONTACTS, LEADS)
LANDED = datetime(2026, 6, 1, tzinfo=UTC)
PLAIN = ("string", "timestamp", "date", "boolean", "bigint", "decimal")
# One order in so many is of somebody whom nobody else knows.
STRANGER_ONE_IN = 30


@dataclass
class InSilver:
    """The tables, as they were written last."""

    lake: Lake
    world: World
    shop: Shop
    app: EngagementWorld
    written: dict[str, dict[str, Row]] = field(default_factory=dict)

    @property
    def people(self) -> People:
        return People(self.world, self.shop, self.app)

    def write(self) -> dict[str, int]:
        """Bring the tables up to the worlds' day; how many rows changed in each."""
        rows: dict[SourceTable, Iterable[Row]] = {
            **{table: self.world.truth(table.name) for table in IN_CRM},
            CUSTOMERS: self.shop.rows["customers"].values(),
            CLEVERTAP_PROFILES: (
                self.app.person(number) | {"day": LANDED.date()} for number in range(self.app.people)
            ),
            CUSTOMER_ORDERS: self._orders(),
        }
        return {
            table.silver_name: self.put(table, (conformed(table, row) for row in each if is_good(row)))
            for table, each in rows.items()
        }

    def _orders(self) -> Iterable[Row]:
        for number, contact in enumerate(self.world.tables["contacts"].ids):
            customer = contact if number % STRANGER_ONE_IN else f"W-{number:06d}"
            yield {"order_id": f"O-{number:08d}", "customer_id": customer, "updated_at": LANDED}

    def put(self, table: SourceTable, rows: Iterable[Row]) -> int:
        """Make the table hold these rows; what it held besides is deleted."""
        held, (key,) = self.lake.silver(table.silver_name), table.silver_key
        before, batch = self.written.get(table.silver_name, {}), held.batch + 1
        said = {row[key]: row for row in rows}
        now = (
            before
            | {each: row | {"is_deleted": True} for each, row in before.items() if each not in said}
            | said
        )
        changed = {each for each, row in now.items() if _said(before.get(each)) != _said(row)}
        if not changed:
            return 0
        stamped = {
            each: row | {"_batch": batch} if each in changed else before[each] for each, row in now.items()
        }
        write_deltalake(
            held.uri,
            pa.Table.from_pylist(list(stamped.values()), schema=_schema(table)),
            mode="overwrite",
            commit_properties=held.carrying(Note({"written": batch}), batch),
        )
        self.written[table.silver_name] = stamped
        return len(changed)


def _said(row: Row | None) -> Row | None:
    return row and {name: value for name, value in row.items() if name != "_batch"}


def _schema(table: SourceTable) -> pa.Schema:
    declared = {c.silver_name: arrow_type(c.type) for c in table.columns if c.silver_name}
    platform = {"is_deleted": pa.bool_(), "_landed_at": pa.timestamp("us", tz="UTC"), "_batch": pa.int64()}
    return pa.schema(declared | platform)


def is_good(row: Row) -> bool:
    """No error rule keeps it out of silver."""
    email, revenue = (row.get("Email") or row.get("email") or "").strip(), row.get("AnnualRevenue")
    is_address = re.fullmatch(r"[^@\s]+@[^@\s.]+([.][^@\s.]+)+", email) is not None
    return (is_address or not email) and (revenue is None or revenue >= 0)


def conformed(table: SourceTable, row: Row) -> Row:
    """A source's row as silver writes it."""
    values = {
        column.silver_name: _written(row.get(column.name), column.normalise)
        for column in table.columns
        if column.silver_name and column.type.kind in PLAIN
    }
    return values | {"is_deleted": row.get("IsDeleted", False), "_landed_at": LANDED}


def _written(value: Any, normalise: Normalise | None) -> Any:
    if isinstance(value, Unheld):
        return None
    if not isinstance(value, str):
        return value
    match normalise:
        case Normalise.LOWER:
            value = value.lower()
        case Normalise.PHONE:
            value = re.sub(r"[\s().-]", "", value)
    return value.strip(" ")


@dataclass(frozen=True)
class Score:
    """Of all pairs of records: how many that were brought together are of one person, and the other way round."""

    precision: float
    recall: float
    records: int


def score(customers: Mapping[Record, Hashable], people: People) -> Score:
    """How the customer of each record agrees with who it truly is."""
    together = Counter((customer, people.who(record)) for record, customer in customers.items())
    right = _pairs(together.values())
    found = _pairs(Counter(customers.values()).values())
    true = _pairs(Counter(people.who(record) for record in customers).values())
    return Score(right / found, right / true, len(customers))


def _pairs(counts: Iterable[int]) -> int:
    return sum(count * (count - 1) // 2 for count in counts)


def customers_of(lake: Lake) -> dict[Record, str]:
    """The customer of each record that silver has now."""
    held = lake.silver("customer_identities")
    asked = "select system, source_id, customer_id from held where not is_deleted"
    return {(row["system"], row["source_id"]): row["customer_id"] for row in held.query(asked).to_pylist()}
