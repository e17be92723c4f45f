"""How good a silver table is: how many of its rows break each rule, and what that comes to.

Rows were judged when they were merged; here the verdicts are counted, and no rule is evaluated again. A rule's
score is the share of rows that keep it; a dimension's is the mean of its rules; the table's is the mean of its
dimensions, out of 100.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import pyarrow as pa

from data_platform.declarations import NAMED_COLUMN, Dimension, Rule, Severity, SourceTable
from data_platform.described import InSilver
from data_platform.lake.tables import Lake, LakeTable


@dataclass(frozen=True)
class Quality:
    """Counts of one table: live rows in silver, rows held back, keys that stand there twice, rows breaking a rule."""

    table: SourceTable
    live: int
    quarantined: int
    repeated_keys: int
    broken: dict[str, int]

    @property
    def judged(self) -> int:
        return self.live + self.quarantined

    def share(self, rule: str) -> float:
        return self.broken.get(rule, 0) / self.judged if self.judged else 0.0

    @property
    def dimensions(self) -> dict[Dimension, float]:
        kept: dict[Dimension, list[float]] = {
            Dimension.UNIQUENESS: [1 - self.repeated_keys / max(self.live, 1)]
        }
        for name, rule, _ in self.table.every_rule:
            kept.setdefault(rule.dimension, []).append(1 - self.share(name))
        return {dimension: 100 * fmean(shares) for dimension, shares in kept.items()}

    @property
    def score(self) -> float:
        return round(fmean(self.dimensions.values()), 2)


def quality_of(table: SourceTable, lake: Lake) -> Quality | None:
    """None where silver is not there yet."""
    silver, quarantine = lake.silver(table.silver_name), lake.silver_quarantine(table.silver_name)
    if not silver.exists:
        return None
    counts = {
        Severity.WARN: _named(silver, "_warnings", "not is_deleted"),
        Severity.ERROR: _named(quarantine, "_reasons"),
    }
    return Quality(
        table=table,
        live=_count(silver, "select count(*) as n from held where not is_deleted"),
        quarantined=_count(quarantine, "select count(*) as n from held"),
        repeated_keys=repeated_keys(silver, table.silver_key),
        broken={name: counts[rule.severity].get(name, 0) for name, rule, _ in table.every_rule},
    )


def sides_of_joined(
    held: LakeTable, key: Sequence[str], required: Sequence[str], rules: Sequence[Rule]
) -> dict[Dimension, float]:
    """The scores of a table that no step judges: one row per key, its columns filled, its rules kept."""
    live = max(_count(held, "select count(*) as n from held where not is_deleted"), 1)
    kept = {
        Dimension.UNIQUENESS: [1 - repeated_keys(held, key) / live],
        Dimension.COMPLETENESS: [1 - unfilled(held, required) / live],
    }
    for rule in rules:
        kept.setdefault(rule.dimension, []).append(1 - breaking(held, rule) / live)
    return {side: 100 * fmean(shares) for side, shares in kept.items()}


def repeated_keys(held: LakeTable, key: Sequence[str]) -> int:
    columns = ", ".join(f'"{name}"' for name in key)
    return _count(
        held, f"select count(*) as n from (select {columns} from held group by {columns} having count(*) > 1)"
    )


def required(table: InSilver) -> list[str]:
    """The columns that have a value in every live row."""
    return [column.name for column in table.columns if column.required]


def unfilled(held: LakeTable, columns: Sequence[str]) -> int:
    """The live rows that lack a value in one of the columns."""
    lacks = " or ".join(f'"{name}" is null' for name in columns)
    return _count(held, f"select count(*) as n from held where not is_deleted and ({lacks})")


def breaking(held: LakeTable, rule: Rule) -> int:
    """The live rows that break a rule which no step has judged; its condition has to be plain SQL."""
    condition = NAMED_COLUMN.sub(r'"\1"', rule.condition)
    return _count(
        held, f"select count(*) as n from held where not is_deleted and not coalesce(({condition}), true)"
    )


def _count(held: LakeTable, sql: str) -> int:
    return int(_answer(held, sql).column("n")[0].as_py()) if held.exists else 0


def _named(held: LakeTable, column: str, where: str = "true") -> dict[str, int]:
    """How many rows name each rule in the column."""
    if not held.exists:
        return {}
    counted = _answer(
        held,
        f"select rule, count(*) as n from (select unnest({column}) as rule from held where {where}) group by rule",
    )
    return dict(zip(counted.column("rule").to_pylist(), counted.column("n").to_pylist(), strict=True))


# Counts of versions of tables, by what was asked: checks and scores of one run ask the same.
_KNOWN: dict[tuple[str, int, str], pa.Table] = {}
MOST_KNOWN = 1_000


def _answer(held: LakeTable, sql: str) -> pa.Table:
    """Asked once of a version, of which the answer never changes."""
    if held.delta is None:
        return held.query(sql)
    asked = (str(held.delta.metadata().id), held.version, sql)
    if asked not in _KNOWN:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[asked] = held.query(sql)
    return _KNOWN[asked]
