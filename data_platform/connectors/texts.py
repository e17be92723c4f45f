"""Columns of text (a CSV, what a database wrote out) as rows in the declared types."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.records import ENCODER, NULL, Rescues, Rows, fitting, rescued_of
from data_platform.declarations import Column
from data_platform.lake.schema import arrow_type


def rows_from_text(
    texts: pa.Table,
    columns: Sequence[Column],
    undeclared: Sequence[str],
    meant: Callable[[str, str], Any],
    misfits: Mapping[str, pa.Array] = MappingProxyType({}),
) -> Rows:
    """Columns of text (a CSV) in the declared types; a JSON column's text is its JSON.

    `meant(field, text)` is the value that the source would give for it in a JSON page: what is rescued is
    then the same whichever way it was read. `misfits` are the texts that are known already to fit no type.
    """
    rescues: Rescues = defaultdict(dict)
    held = {}
    for column in columns:
        held[column.name] = _from_text(texts.column(column.name).combine_chunks(), column, rescues, meant)
    for name, kept in [*misfits.items(), *((name, texts.column(name)) for name in undeclared)]:
        if kept.null_count < len(kept):
            for place, text in enumerate(kept.to_pylist()):
                if text is not None:
                    rescues[place][name] = meant(name, text)
    return Rows(held, rescued_of(rescues, texts.num_rows))


def _from_text(
    texts: pa.Array, column: Column, rescues: Rescues, meant: Callable[[str, str], Any]
) -> pa.Array:
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), arrow_type(column.type))
    if column.type.kind == "json":
        return pc.cast(texts, arrow_type(column.type))
    if column.type.kind != "string":
        try:
            return pc.cast(texts, arrow_type(column.type))
        except pa.ArrowException:
            pass
    elif isinstance(meant(column.name, pc.drop_null(texts)[0].as_py()), str):
        return texts
    raws = [
        NULL if text is None else msgspec.Raw(ENCODER.encode(meant(column.name, text)))
        for text in texts.to_pylist()
    ]
    return fitting(raws, column, rescues)
