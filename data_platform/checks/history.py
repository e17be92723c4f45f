"""How good the tables were, over time: what each side of quality came to whenever it was measured, by table and domain.

A table's domain is the team that owns it. A domain's score on a side is the mean of its tables that are measured on
it; its score as a whole is the mean of its tables'.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean

import pyarrow as pa

from data_platform.declarations import Dimension
from data_platform.lake.append import Appender
from data_platform.lake.schema import TIMESTAMP_TYPE
from data_platform.lake.tables import Lake, Note

# What stands for all sides together.
WHOLE = "all"
SCHEMA = pa.schema(
    [
        ("measured_at", TIMESTAMP_TYPE),
        ("level", pa.string()),
        ("name", pa.string()),
        ("domain", pa.string()),
        ("dimension", pa.string()),
        ("score", pa.float64()),
        ("rows", pa.int64()),
        ("_batch", pa.int64()),
        ("_landed_at", TIMESTAMP_TYPE),
    ]
)


@dataclass(frozen=True)
class Measured:
    """One table's scores, out of 100, on the sides on which it promises something."""

    name: str
    domain: str
    rows: int
    sides: Mapping[Dimension, float]

    @property
    def score(self) -> float:
        return fmean(self.sides.values())


def domain_of(owner: str) -> str:
    return owner.removeprefix("team:")


def timeliness(age: timedelta, promise: timedelta) -> float:
    """In full while the last load is no older than promised, then less the older it is."""
    return 100 * min(1.0, promise / age) if age else 100.0


def keep(tables: Sequence[Measured], lake: Lake, measured_at: datetime | None = None) -> int:
    """Add what was measured to the history; returns how many rows that are."""
    moment = measured_at or datetime.now(UTC)
    rows = [{"measured_at": moment, **row} for row in _rows(tables)]
    appender = Appender(
        lake.scores().create(
            SCHEMA,
            ("measured_at", "_batch"),
            "Scores of quality by table and domain, each time they were measured.",
        )
    )
    appender.write(pa.RecordBatch.from_pylist(rows, schema=pa.schema(list(SCHEMA)[:-2])))
    appender.commit(Note({"measured_at": moment.isoformat()}))
    return len(rows)


def latest(lake: Lake, level: str) -> dict[str, float]:
    """The whole score of each table, or of each domain, when it was measured last."""
    held = lake.scores()
    if not held.exists:
        return {}
    rows = held.query(
        f"select name, score from held where level = '{level}' and dimension = '{WHOLE}' "
        "and measured_at = (select max(measured_at) from held)"
    )
    return dict(zip(rows.column("name").to_pylist(), rows.column("score").to_pylist(), strict=True))


def _rows(tables: Iterable[Measured]) -> Iterator[dict[str, object]]:
    domains: dict[str, list[Measured]] = {}
    for table in tables:
        domains.setdefault(table.domain, []).append(table)
        told = {"level": "table", "name": table.name, "domain": table.domain, "rows": table.rows}
        for side, score in table.sides.items():
            yield told | {"dimension": side.value, "score": score}
        yield told | {"dimension": WHOLE, "score": table.score}
    for domain, its in domains.items():
        rows = sum(table.rows for table in its)
        told = {"level": "domain", "name": domain, "domain": domain, "rows": rows}
        for side in Dimension:
            if scores := [table.sides[side] for table in its if side in table.sides]:
                yield told | {"dimension": side.value, "score": fmean(scores)}
        yield told | {"dimension": WHOLE, "score": fmean(table.score for table in its)}
