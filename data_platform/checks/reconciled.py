"""Whether silver has what bronze gave it: of the keys that its last step took in, each is there, and so is its money.

Worked out anew from the rows of both, without what the step counted. The newest version of each key in the batches that
the step read is looked for in silver and in its quarantine. Where one of these holds a later version, which had landed
before, that is right too. Cost follows the change: other batches are read only where a version is not found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_platform.declarations import Column, Normalise, SourceTable
from data_platform.lake.tables import Lake, LakeTable, Note

if TYPE_CHECKING:
    import duckdb

# Values as silver cleans them, in DuckDB's words.
_CLEANED = {
    Normalise.LOWER: "lower(trim({0}))",
    Normalise.UPPER: "upper(trim({0}))",
    Normalise.PHONE: "regexp_replace(trim({0}), '[\\s().-]', '', 'g')",
    None: "trim({0})",
}


@dataclass(frozen=True)
class Reconciled:
    """Keys that went in; those that are nowhere; and of each column of money, what went in and what came out."""

    keys: int
    missing: int
    sums: Mapping[str, tuple[Decimal, Decimal]]

    @property
    def agrees(self) -> bool:
        return not self.missing and all(given == held for given, held in self.sums.values())


def reconciled(table: SourceTable, lake: Lake) -> Reconciled | None:
    """None where one of the two is not there."""
    import duckdb

    bronze = lake.bronze(table)
    silver, quarantine = lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)
    if not silver.exists or not bronze.exists:
        return None
    since, until = _read_last(silver, bronze.name)
    with duckdb.connect() as connection:
        connection.register("landed", _landed(table, bronze, since, until))
        connection.execute(f"create temp table given as {_newest(table)}")
        _register_held(connection, table, (silver, quarantine), f"_source_batch > {since}")
        keys, found, *sums = _asked(connection, _found(table))
        missing = keys - found
        if missing:
            _register_held(connection, table, (silver, quarantine), "true")
            (missing,) = _asked(connection, _nowhere(table))
    money = [column.silver_name or "" for column in _money(table)]
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return Reconciled(keys, missing, dict(zip(money, pairs, strict=True)))


def _read_last(silver: LakeTable, source: str) -> tuple[int, int]:
    """The batches of bronze that the last step which moved silver's position read: after the one, up to the other."""
    until = int((silver.position or {}).get(source, 0))
    notes = (Note.from_commit(commit) for commit in silver.commits())
    reached = (int(note.position.get(source, 0)) for note in notes if note)
    return next((each for each in reached if each < until), 0), until


def _money(table: SourceTable) -> list[Column]:
    return [
        each for each in table.columns if each.silver_name and each.sensitive and each.type.kind == "decimal"
    ]


def _landed(table: SourceTable, bronze: LakeTable, since: int, until: int) -> pa.Table:
    wanted = dict.fromkeys([*table.key, *table.cursors, *(column.name for column in _money(table))])
    said = ", ".join([*(f'"{name}"' for name in wanted), "_batch", "_op", "_landed_at", "_rescued"])
    return bronze.query(f"select {said} from held where _batch > {since} and _batch <= {until}")


def _newest(table: SourceTable) -> str:
    """The newest version of each key, in silver's names; what has no key can't be told apart, and each counts."""
    keys = [_cleaned(table.by_name[name]) for name in table.key]
    cursors = [_moment(table, name) for name in table.cursors]
    named = [
        *(f"{key} as k{place}" for place, key in enumerate(keys)),
        *(f"{cursor} as c{place}" for place, cursor in enumerate(cursors)),
        *(f'"{column.name}" as m{place}' for place, column in enumerate(_money(table))),
    ]
    keyless = " or ".join(f"{key} is null" for key in keys)
    # Of versions that nothing puts in order any one may have won, so their money tells nothing where it differs.
    tied = f"partition by {', '.join([*keys, *cursors, '_batch', '_op'])}"
    moot = [
        f'min("{column.name}") over ({tied}) is distinct from max("{column.name}") over ({tied})'
        for column in _money(table)
    ]
    order = ", ".join([*(f"{cursor} desc nulls last" for cursor in cursors), "_batch desc", "_op"])
    return (
        f"select {', '.join(named)}, _batch, _op = 'delete' as is_deleted, _rescued is not null as is_rescued, "
        f"({' or '.join([*moot, 'false'])}) as is_moot from landed "
        f"qualify ({keyless}) or row_number() over (partition by {', '.join(keys)} order by {order}) = 1"
    )


def _cleaned(column: Column) -> str:
    if column.type.kind != "string":
        return f'"{column.name}"'
    return _CLEANED[column.normalise].format(f'"{column.name}"')


def _moment(table: SourceTable, cursor: str) -> str:
    column = table.by_name.get(cursor)
    return (
        f'coalesce("{cursor}", _landed_at)' if column and column.type.kind == "timestamp" else f'"{cursor}"'
    )


def _register_held(
    connection: "duckdb.DuckDBPyConnection", table: SourceTable, kept: Sequence[LakeTable], which: str
) -> None:
    """What silver and its quarantine hold, as `held`."""
    named = list(_held_columns(table))
    rows = [
        each.query(f"select {', '.join(named)}, _source_batch from held where {which}")
        for each in kept
        if each.exists
    ]
    connection.register("kept", pa.concat_tables(rows))
    # A table of its own: pushed down to Arrow, a comparison of texts finds two kinds of them.
    connection.execute("create or replace temp table held as from kept")


def _held_columns(table: SourceTable) -> Iterator[str]:
    for place, key in enumerate(table.silver_key):
        yield f'"{key}" as k{place}'
    for place, name in enumerate(table.cursors):
        column = table.by_name.get(name)
        yield f'"{(column.silver_name if column else None) or name}" as c{place}'
    for place, column in enumerate(_money(table)):
        yield f'"{column.silver_name}" as m{place}'


def _found(table: SourceTable) -> str:
    """How many versions went in, how many of these are held, and over them each column's sum on either side."""
    sums = [
        # A deletion may tell no money, and silver keeps what it had; a value that did not fit is taken from _rescued.
        f"coalesce(sum({side}.m{place}) filter "
        f"(not is_deleted and not is_moot and not (given.m{place} is null and is_rescued)), 0)"
        f"::decimal(38, {column.type.scale})"
        for place, column in enumerate(_money(table))
        for side in ("given", "held")
    ]
    asked = ["(select count(*) from given)", "count(*)", *sums]
    pairs = f"{_counted(table, 'given', '_batch')} join {_counted(table, 'held', '_source_batch')}"
    return f"select {', '.join(asked)} from {pairs} on {_same_version(table)}"


def _nowhere(table: SourceTable) -> str:
    """How many versions are neither held as such, nor outdone by a later one of their key."""
    cursors = range(len(table.cursors))
    later = [
        " and ".join(
            [
                *(f"outdoes.c{equal} = given.c{equal}" for equal in cursors[:place]),
                f"outdoes.c{place} > given.c{place}",
            ]
        )
        for place in cursors
    ]
    tied = [
        *(f"outdoes.c{place} = given.c{place}" for place in cursors),
        "outdoes._source_batch > given._batch",
    ]
    is_later = " or ".join(f"({case})" for case in [*later, " and ".join(tied)])
    same_key = " and ".join(f"outdoes.k{place} = given.k{place}" for place in range(len(table.key)))
    pairs = f"{_counted(table, 'given', '_batch')} anti join {_counted(table, 'held', '_source_batch')}"
    return (
        f"select count(*) from {pairs} on {_same_version(table)} "
        f"where not exists (select 1 from held outdoes where {same_key} and ({is_later}))"
    )


def _counted(table: SourceTable, rows: str, batch: str) -> str:
    """Rows without a key are told apart by how many stand before them in their batch."""
    keys = ", ".join(f"k{place}" for place in range(len(table.key)))
    twin = f"row_number() over (partition by {keys}, {batch}) as twin"
    return f"(select *, {batch} as of_batch, {twin} from {rows}) {rows}"


def _same_version(table: SourceTable) -> str:
    names = ["of_batch", "twin", *(f"k{place}" for place in range(len(table.key)))]
    return " and ".join(f"given.{name} is not distinct from held.{name}" for name in names)


def _asked(connection: "duckdb.DuckDBPyConnection", question: str) -> list[Any]:
    (answer,) = connection.execute(question).fetchall()
    return list(answer)
