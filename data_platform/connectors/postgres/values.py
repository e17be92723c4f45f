"""Values as PostgreSQL gives them, in the declared types.

What Arrow and the declaration hold alike is read as it is; everything else is read as text, the way a change in
the WAL always comes, so that a value is the same whichever way it was read. What no declared type holds (NaN,
infinity, years beyond 9999, more digits than declared) is rescued.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.postgres.arrays import array_items
from data_platform.connectors.postgres.described import Described, Found
from data_platform.connectors.postgres.session import quoted
from data_platform.connectors.records import Rows, exact_number
from data_platform.connectors.texts import rows_from_text
from data_platform.declarations import Column
from data_platform.lake.schema import arrow_type

_NATIVE: Final[Mapping[str, frozenset[str]]] = {
    "bigint": frozenset({"int2", "int4", "int8"}),
    "boolean": frozenset({"bool"}),
    "double": frozenset({"float8"}),
    "string": frozenset({"text", "varchar"}),
    "binary": frozenset({"bytea"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamp", "timestamptz"}),
}
_MOMENTS: Final = frozenset({"date", "timestamp"})
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "oid", "numeric", "float4", "float8"})
_DOCUMENTS: Final = frozenset({"json", "jsonb"})
# The years that every reader of the lake can hold.
_HELD: Final = "between '0001-01-01' and '{}'"
_LAST: Final = {"date": "9999-12-31", "timestamp": "9999-12-31 23:59:59.999999"}
_IN_RANGE = r"^\d{4}-[^B]*$"

_JSON = msgspec.json.Decoder(float_hook=exact_number)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def moments_of(described: Described) -> list[Column]:
    """The columns that may hold a moment which the lake can't."""
    return [
        column
        for found in described.found
        if (column := described.table.by_name.get(found.name))
        and column.type.kind in _MOMENTS
        and found.type in _NATIVE[column.type.kind]
    ]


def is_out_of_range(column: Column) -> str:
    """The condition in SQL."""
    return f"not {quoted(column.name)} {_HELD.format(_LAST[column.type.kind])}"


class Reading:
    """How the columns of one table are asked for in a query, and its answers made into rows.

    `checked` are the columns whose moments were found to be all in range: to look at each value again takes a
    quarter of the whole read.
    """

    def __init__(
        self, described: Described, only: Sequence[str] | None = None, checked: Collection[str] = ()
    ) -> None:
        self._described = described
        wanted = [found for found in described.found if only is None or found.name in only]
        self._native: list[Column] = []
        self._texts: list[str] = []
        self._moments: list[str] = []
        expressions = []
        for found in wanted:
            column = described.table.by_name.get(found.name)
            if column and found.type in _NATIVE.get(column.type.kind, ()):
                self._native.append(column)
                if column.type.kind in _MOMENTS and column.name not in checked:
                    self._moments.append(found.name)
            else:
                self._texts.append(found.name)
        expressions += [self._as_it_is(column) for column in self._native]
        expressions += [f"{quoted(name)}::text" for name in self._texts]
        expressions += [_out_of_range(described.table.by_name[name]) for name in self._moments]
        self.select = ", ".join(expressions)

    def rows(self, batch: pa.RecordBatch) -> Rows:
        answered = iter(batch.columns)
        ready = {column.name: pc.cast(next(answered), arrow_type(column.type)) for column in self._native}
        texts = {name: pc.cast(next(answered), pa.string()) for name in self._texts}
        misfits = {name: pc.cast(next(answered), pa.string()) for name in self._moments}
        return typed_rows(self._described, self._described.by_name, texts, ready, misfits)

    def _as_it_is(self, column: Column) -> str:
        name = quoted(column.name)
        if column.name not in self._moments:
            return name
        return f"case when {quoted(column.name)} {_HELD.format(_LAST[column.type.kind])} then {name} end"


def typed_rows(
    described: Described,
    found: Mapping[str, Found],
    texts: Mapping[str, pa.Array],
    ready: Mapping[str, pa.Array],
    misfits: Mapping[str, pa.Array],
) -> Rows:
    """Texts in the declared types, beside columns that are `ready`; `found` says what types the texts are of."""
    declared = described.table.by_name
    ready, misfits, spelled = dict(ready), dict(misfits), {}
    for name, values in texts.items():
        column, of = declared.get(name), found[name].type
        if column is None:
            spelled[name] = values
        elif (column.type.kind, of) in _READY:
            ready[name] = _READY[column.type.kind, of](values)
        elif column.type.kind in _MOMENTS and of in ("date", "timestamp", "timestamptz"):
            spelled[name], misfits[name] = _moments_in_range(values, column, of)
        elif column.type.kind == "json" and of not in _DOCUMENTS:
            spelled[name] = _each(values, partial(_as_json, of))
        else:
            spelled[name] = values
    number = len(next(iter((*ready.values(), *texts.values()))))
    table = pa.table({"": pa.nulls(number), **spelled})

    def meant(name: str, text: str) -> Any:
        column = declared.get(name)
        return text if column and column.type.kind == "string" else _meant(found[name].type, text)

    columns = [declared[name] for name in spelled if name in declared]
    undeclared = [name for name in spelled if name not in declared]
    rows = rows_from_text(table, columns, undeclared, meant, misfits)
    return Rows({**rows.columns, **ready}, rows.rescued)


def _out_of_range(column: Column) -> str:
    return f"case when {is_out_of_range(column)} then {quoted(column.name)}::text end"


def _moments_in_range(values: pa.Array, column: Column, of: str) -> tuple[pa.Array, pa.Array]:
    """The moments as Arrow reads them, and those that it can't hold."""
    held = pc.match_substring_regex(values, _IN_RANGE)
    inside = pc.if_else(held, values, None)
    if column.type.kind == "timestamp" and of != "timestamptz":
        inside = pc.binary_join_element_wise(inside, " 00:00:00Z" if of == "date" else "Z", "")
    return inside, pc.if_else(held, None, values)


def _each(values: pa.Array, work: Callable[[str], Any], into: pa.DataType | None = None) -> pa.Array:
    return pa.array(
        [None if text is None else work(text) for text in values.to_pylist()], into or pa.string()
    )


def _as_json(of: str, text: str) -> str:
    return _ENCODER.encode(_meant(of, text)).decode()


def _meant(of: str, text: str) -> Any:
    """The value that a text of this type stands for, as JSON would write it."""
    if of == "bool":
        return text.startswith("t")
    if of in _NUMBERS:
        return exact_number(text) if text[-1].isdigit() else text
    if of in _DOCUMENTS:
        return _JSON.decode(text)
    if of.startswith("_"):
        return array_items(text, lambda item: _meant(of[1:], item))
    return text


_READY: Final[Mapping[tuple[str, str], Callable[[pa.Array], pa.Array]]] = {
    ("boolean", "bool"): lambda values: pc.starts_with(values, "t"),
    ("binary", "bytea"): lambda values: _each(values, lambda text: bytes.fromhex(text[2:]), pa.binary()),
    # A change in the WAL comes with the blanks that a query leaves out.
    ("string", "bpchar"): lambda values: pc.utf8_rtrim(values, " "),
}
