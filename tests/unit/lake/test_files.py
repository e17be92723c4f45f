"""How data files are written: which columns have a dictionary, and that all values come back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from data_platform.lake.append import Appender
from data_platform.lake.files import SAMPLE_ROWS, hardly_repeating
from data_platform.lake.tables import Lake, Note

ROWS = 30_000
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def rows_of(count: int) -> pa.Table:
    numbers = range(count)
    return pa.table(
        {
            "id": [f"row {number}" for number in numbers],
            "a.moment": pa.array([NOON + timedelta(seconds=n) for n in numbers], pa.timestamp("us", "UTC")),
            "amount": pa.array([Decimal(number) for number in numbers], pa.decimal128(18, 2)),
            "status": [f"status {number % 5}" for number in numbers],
            "mostly_unsaid": [str(number) if number % 10 == 0 else None for number in numbers],
            "unsaid": pa.nulls(count, pa.string()),
            "is_odd": [bool(number % 2) for number in numbers],
            "tags": [[f"tag {number}", "all"] for number in numbers],
            "place": [{"city": f"city {number}"} for number in numbers],
        }
    )


def test_what_hardly_repeats_is_told_by_enough_values_alone():
    rows = rows_of(ROWS)
    assert hardly_repeating(rows) == {"id", "a.moment", "amount"}
    assert hardly_repeating(rows.slice(0, SAMPLE_ROWS // 2 - 1)) == set()
    assert hardly_repeating(rows.slice(0, 0)) == set()


@pytest.mark.parametrize("count", [1, ROWS])
def test_all_values_come_back_whether_or_not_there_is_a_dictionary_of_them(tmp_path, count):
    rows = rows_of(count)
    stamps = [pa.field("_batch", pa.int64()), pa.field("_landed_at", pa.timestamp("us", "UTC"))]
    table = (
        Lake(str(tmp_path))
        .silver("anything")
        .create(pa.schema([*rows.schema, *stamps]), ("id", "_batch", "_landed_at"))
    )
    appender = Appender(table)
    for batch in rows.to_batches(10_000):
        appender.write(batch)
    appender.commit(Note({}))
    (file,) = DeltaTable(table.uri).file_uris()
    group = pq.read_metadata(file).row_group(0)
    leaves = [group.column(place) for place in range(group.num_columns)]
    plain = {leaf.path_in_schema for leaf in leaves if not leaf.has_dictionary_page}
    unique = {"id", "a.moment", "amount"} if count == ROWS else set()
    assert plain == unique | {"is_odd"}
    assert pq.read_table(file, columns=rows.column_names).equals(rows)
