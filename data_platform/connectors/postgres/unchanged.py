"""Large values that an update left as they were: the WAL does not hold them, so the table is asked."""

from collections.abc import Sequence
from typing import Any

from data_platform.connectors.postgres.described import Described, qualified
from data_platform.connectors.postgres.pgoutput import Change, Unchanged, Value
from data_platform.connectors.postgres.session import quoted, rows_of

ROWS_PER_QUESTION = 500

Key = tuple[Value, ...]


def with_unchanged(
    session: Any, described: Described, changes: Sequence[Change]
) -> dict[str, list[str | None]]:
    """The changes of one shape as columns of texts, with every value that the table can still tell."""
    names = [column.name for column in changes[0].shape.columns]
    columns: dict[str, list[Value]] = {
        name: list(values)
        for name, values in zip(names, zip(*(change.values for change in changes), strict=True), strict=True)
    }
    keys: list[Key] = list(zip(*(columns[name] for name in described.table.key), strict=True))
    for name, values in columns.items():
        left_out = [place for place, value in enumerate(values) if value is Unchanged.VALUE]
        if left_out:
            present = _present_values(session, described, name, [keys[place] for place in left_out])
            for place in left_out:
                values[place] = present.get(keys[place])
    return {
        name: [None if isinstance(value, Unchanged) else value for value in values]
        for name, values in columns.items()
    }


def _present_values(
    session: Any, described: Described, name: str, keys: Sequence[Key]
) -> dict[Key, str | None]:
    """The column as it is now, for those of the keys that are there."""
    if name not in described.by_name:
        return {}
    wanted = list(dict.fromkeys(keys))
    key = described.table.key
    found: dict[Key, str | None] = {}
    for first in range(0, len(wanted), ROWS_PER_QUESTION):
        some = wanted[first : first + ROWS_PER_QUESTION]
        row = f"({', '.join(['%s'] * len(key))})"
        question = (
            (
                f"select {', '.join(f'{quoted(part)}::text' for part in key)}, {quoted(name)}::text "
                f"from {qualified(described.table)} "
                f"where ({', '.join(map(quoted, key))}) in ({', '.join([row] * len(some))})"
            )
            .replace("%", "%%")
            .replace("%%s", "%s")
        )
        for *parts, value in rows_of(session, question, [part for each in some for part in each]):
            found[tuple(parts)] = value
    return found
