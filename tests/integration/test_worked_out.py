"""Rows that were worked out answer alike whether they are few, in this process, or many, in Spark."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from data_platform.lake.worked_out import Few, Many

KIND = (
    "id string, number bigint, amount decimal(12, 2), day date, at timestamp, is_deleted boolean, "
    "reasons array<string>, of struct<places: array<bigint>>"
)
NOON = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
ROWS = [
    ("a", 2, Decimal("1.25"), date(2026, 6, 1), NOON, False, [], ([],)),
    ("b", None, None, None, None, True, ["x", "y"], ([1, 2],)),
    (None, 1, Decimal("-3.00"), date(1969, 1, 1), NOON, None, None, None),
]


@pytest.fixture(params=[Few, Many])
def rows(request, spark):
    return request.param.of(spark.createDataFrame(ROWS, KIND))


def content(rows) -> list[dict]:
    return sorted(rows.fetched().to_pylist(), key=lambda row: row["id"] or "")


def test_they_are_counted_under_conditions(rows):
    assert rows.counts(
        deleted=lambda column: column("is_deleted"),
        others=lambda column: ~column("is_deleted"),
        either=lambda column: column("is_deleted") | (column("number") > 1),
    ) == {"rows": 3, "deleted": 1, "others": 1, "either": 2}


def test_some_are_taken_with_some_columns_and_a_batch(rows):
    some = rows.where(lambda column: ~column("is_deleted")).without("at", "day").of_batch(7)
    assert some.columns == ["id", "number", "amount", "is_deleted", "reasons", "of", "_batch"]
    assert content(some) == [
        {
            "id": "a",
            "number": 2,
            "amount": Decimal("1.25"),
            "is_deleted": False,
            "reasons": [],
            "of": {"places": []},
            "_batch": 7,
        }
    ]


def test_lists_that_are_all_empty_are_whole(rows):
    """Spark hands them over without offsets."""
    empty = rows.where(lambda column: column("id") == "a")
    empty.fetched().validate(full=True)
    assert [row["reasons"] for row in content(empty)] == [[]]


def test_in_spark_they_have_the_types_that_they_had(rows, spark):
    held = rows.of_batch(7).in_spark
    declared = spark.createDataFrame([], f"{KIND}, _batch bigint")
    assert [(field.name, field.dataType) for field in held.schema] == [
        (field.name, field.dataType) for field in declared.schema
    ]
    assert sorted(map(tuple, held.select("id", "amount", "at").collect()), key=str) == sorted(
        map(tuple, spark.createDataFrame(ROWS, KIND).select("id", "amount", "at").collect()), key=str
    )


def test_no_rows_at_all(rows):
    none = rows.where(lambda column: column("id") == "nobody")
    assert none.counts(deleted=lambda column: column("is_deleted")) == {"rows": 0, "deleted": 0}
    assert none.of_batch(1).fetched().num_rows == 0
