"""What the database says a table is: its columns and types, its key, and how that differs from the declaration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from data_platform.connectors.base import Drift, SourceError, drift_of
from data_platform.connectors.postgres.session import quoted, rows_of
from data_platform.declarations import DataType, SourceTable

# The kinds that hold each of PostgreSQL's types whole; any type can be held as a string, and any as JSON.
FITTING: Mapping[str, frozenset[str]] = {
    "int2": frozenset({"bigint", "decimal", "double"}),
    "int4": frozenset({"bigint", "decimal", "double"}),
    "int8": frozenset({"bigint", "decimal"}),
    "oid": frozenset({"bigint"}),
    "numeric": frozenset({"decimal"}),
    "float4": frozenset({"double"}),
    "float8": frozenset({"double"}),
    "bool": frozenset({"boolean"}),
    "date": frozenset({"date", "timestamp"}),
    "timestamp": frozenset({"timestamp"}),
    "timestamptz": frozenset({"timestamp"}),
    "bytea": frozenset({"binary"}),
}

COLUMNS = """
select a.attname, t.typname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""
TYPES = "select oid, typname from pg_type"
IDENTITY = """
select a.attname from pg_class c
join pg_index i on i.indrelid = c.oid and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end
join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
where c.oid = to_regclass(%s) and c.relreplident <> 'n'
union
select a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.oid = to_regclass(%s) and c.relreplident = 'f' and a.attnum > 0 and not a.attisdropped
"""


@dataclass(frozen=True)
class Found:
    """A column as the database has it. `type` is its internal name (an array's starts with an underscore)."""

    name: str
    type: str
    says: str

    def fits(self, declared: DataType) -> bool:
        if declared.kind == "list":
            return self.type.startswith("_")
        return declared.kind in FITTING.get(self.type, ()) or declared.kind in ("string", "json")


@dataclass(frozen=True)
class Described:
    """One table, and the database's types by their number."""

    table: SourceTable
    found: Sequence[Found]
    types: Mapping[int, str]
    # The columns by which the WAL tells which row was changed or deleted.
    identity: frozenset[str]

    @classmethod
    def by(cls, connection: Any, table: SourceTable) -> "Described":
        where = qualified(table)
        found = [Found(*row) for row in rows_of(connection, COLUMNS, [where])]
        if not found:
            raise SourceError(
                f"{table.system}.{table.name} reads {table.reads}, which the database does not have or does not show "
                "to this user; correct the declaration's `reads`, or grant SELECT on it"
            )
        named = {column.name for column in found}
        if lost := [
            name for name in (*table.key, *table.cursors) if name in table.by_name and name not in named
        ]:
            raise SourceError(
                f"{table.system}.{table.name} is read by {', '.join(lost)}, and {table.reads} has no such column now; "
                "declare the key and the cursor that it has"
            )
        identity = frozenset(name for (name,) in rows_of(connection, IDENTITY, [where, where]))
        return cls(table, found, dict(rows_of(connection, TYPES)), identity)

    @cached_property
    def by_name(self) -> Mapping[str, Found]:
        return {column.name: column for column in self.found}

    def drift(self) -> list[Drift]:
        undeclared = [name for name in self.by_name if name not in self.table.by_name]
        return drift_of(self.table, self.by_name, undeclared)


def qualified(table: SourceTable) -> str:
    """The table's name in SQL; one without a schema is in public."""
    schema, _, name = table.reads.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(name)}"
