"""Columns of Arrow become the declared ones exactly, or say what could not."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from data_platform.connectors.columnar import rows_from_columns
from data_platform.declarations import BOOLEAN, DATE, DECIMAL, DOUBLE, INTEGER, STRING, TIMESTAMP, Column


def typed(values, declared):
    """The values as declared, and what each row kept beside them."""
    rows = rows_from_columns(pa.RecordBatch.from_arrays([values], ["a"]), [Column("a", declared)], ())
    rescued = [
        json.loads(text, parse_float=Decimal)["a"] if text else None for text in rows.rescued.to_pylist()
    ]
    return rows.columns["a"].to_pylist(), rescued


@pytest.mark.parametrize(
    ("values", "declared", "held", "rescued"),
    [
        (pa.array([1, 2**64 - 1], pa.uint64()), INTEGER, [1, None], [None, 2**64 - 1]),
        (pa.array([1, 2**64 - 1], pa.uint64()), DECIMAL(20, 0), [1, 2**64 - 1], [None, None]),
        (pa.array([5, None], pa.int8()), DECIMAL(12, 2), [Decimal("5.00"), None], [None, None]),
        (pa.array(["1.20", "1.234"]), DECIMAL(4, 2), [Decimal("1.20"), None], [None, "1.234"]),
        (pa.array([19.99, 0.1 + 0.2]), DECIMAL(4, 2), [Decimal("19.99"), None], [None, Decimal("0.30000000000000004")]),
        (pa.array([1, 0, 2, None], pa.int8()), BOOLEAN, [True, False, None, None], [None, None, 2, None]),
        (pa.array([1.0, 1.5]), INTEGER, [1, None], [None, Decimal("1.5")]),
        (pa.array([1, 2], pa.int32()), DOUBLE, [1.0, 2.0], [None, None]),
        (pa.array([7], pa.int64()), STRING, ["7"], [None]),
        (pa.array(["2026-02-28", "2026-02-00"]), DATE, [date(2026, 2, 28), None], [None, "2026-02-00"]),
        (
            pa.array(["2026-01-02 03:04:05.000006", "0000-00-00 00:00:00"]),
            TIMESTAMP,
            [datetime(2026, 1, 2, 3, 4, 5, 6, UTC), None],
            [None, "0000-00-00 00:00:00"],
        ),
        (
            pa.array([1_001], pa.timestamp("ns")),
            TIMESTAMP,
            [datetime(1970, 1, 1, 0, 0, 0, 1, UTC)],
            [None],
        ),
    ],
    ids=lambda value: str(value) if not isinstance(value, list | pa.Array) else "",
)  # fmt: skip
def test_a_value_is_held_exactly_or_rescued(values, declared, held, rescued):
    assert typed(values, declared) == (held, rescued)


def test_one_misfit_among_many_takes_no_other_with_it():
    numbers = [str(number) for number in range(10_000)]
    numbers[6_789] = "many"
    held, rescued = typed(pa.array(numbers), INTEGER)
    assert held == [None if number == 6_789 else number for number in range(10_000)]
    assert {place: value for place, value in enumerate(rescued) if value} == {6_789: "many"}


def test_a_column_that_is_not_declared_is_rescued_where_it_has_a_value():
    batch = pa.RecordBatch.from_pydict({"a": ["x", "y"], "new": [None, "north"]})
    rows = rows_from_columns(batch, [Column("a", STRING), Column("lost", STRING)], ["new"])
    assert rows.columns.keys() == {"a"}
    assert rows.rescued.to_pylist() == [None, '{"new":"north"}']
