"""A table that is laid out by days, as other readers of Delta see it: the same rows, and few files for few batches."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from duckdb_extensions import import_extension
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.bronze.load import bronze_table
from data_platform.lake import append
from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small, live_files
from data_platform.lake.maintenance import tend
from data_platform.lake.reading import read
from data_platform.lake.schema import LANDED_ON, connector_schema
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.sources.postgres import PAYMENTS

KEY = PAYMENTS.key[0]
FIRST = datetime(2026, 6, 1, 12, tzinfo=UTC)
LANDED = [(number, number, date(2026, 6, 1) + timedelta(days=(number - 1) // 6)) for number in range(1, 19)]


class Clock(datetime):
    """Six commits a day."""

    time = FIRST

    @classmethod
    def now(cls, tz=None) -> datetime:
        return cls.time


@pytest.fixture(scope="module")
def payments(tmp_path_factory) -> LakeTable:
    """Eighteen batches in three days: an ordered one, one that is compacted in part, and one of small files."""
    table = bronze_table(PAYMENTS, Lake(str(tmp_path_factory.mktemp("lake"))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(append, "datetime", Clock)
        appender = Appender(table)
        for number, batch, day in LANDED:
            Clock.time = datetime.combine(day, FIRST.timetz())
            rows = [{KEY: number, "_op": "upsert"}]
            appender.write(pa.RecordBatch.from_pylist(rows, schema=connector_schema(PAYMENTS)))
            assert appender.commit(Note({"reached": number})) == batch
            if batch == 6:
                with pytest.MonkeyPatch.context() as tomorrow:
                    Clock.time += timedelta(days=1)
                    tomorrow.setattr("data_platform.lake.maintenance.datetime", Clock)
                    tend(table.fresh(), PAYMENTS.key)
                    appender = Appender(table.fresh())
            if batch == 11:
                compact_small(appender.table, 5)
    return table.fresh()


def test_the_days_lie_as_they_were_tended(payments):
    assert [file.partition[LANDED_ON] for file in live_files(payments)] == (
        ["2026-06-01"] + ["2026-06-02"] * 2 + ["2026-06-03"] * 6
    )


def test_delta_rs_reads_it(payments):
    rows = payments.query(
        f'select "{KEY}" as id, _batch, {LANDED_ON} as day from held order by id'
    ).to_pylist()
    assert [tuple(row.values()) for row in rows] == LANDED


def test_duckdb_reads_it_and_takes_a_day_alone(payments):
    connection = duckdb.connect()
    import_extension("delta", con=connection)
    connection.execute("load delta")
    held = f"delta_scan('{payments.uri}')"
    assert connection.sql(f'select "{KEY}", _batch, {LANDED_ON} from {held} order by 1').fetchall() == LANDED
    assert connection.sql(
        f"select count(*), min(\"{KEY}\") from {held} where {LANDED_ON} = date '2026-06-02'"
    ).fetchall() == [(6, 7)]


def test_spark_reads_it_and_opens_the_files_of_the_batches_that_are_asked_for(spark, payments):
    held = read(spark, payments)
    assert sorted((row[KEY], row["_batch"], row[LANDED_ON]) for row in held.collect()) == LANDED
    assert len(held.inputFiles()) == 9
    # What silver asks: the last three batches, of which each is a file.
    for batch, files in ((15, 3), (6, 8)):
        since = read(spark, payments, after=batch)
        assert len(since.inputFiles()) == files
        found = sorted((row[KEY], row["_batch"], row[LANDED_ON]) for row in since.collect())
        assert found == [row for row in LANDED if row[1] > batch]
    # The days that are over are left out.
    assert files_opened(held.where(F.col(LANDED_ON) == date(2026, 6, 2))) == 2


def files_opened(frame) -> int:
    """By Spark's own count, which it has once the rows were read."""
    plan = frame._jdf.queryExecution().executedPlan()
    plan.executeCollect()
    (scan,) = [plan.collectLeaves().apply(place) for place in range(plan.collectLeaves().size())]
    return scan.metrics().apply("numFiles").value()


def test_spark_sees_the_rows_of_a_version_whose_files_were_replaced(spark, payments):
    before = payments.fresh()
    assert before.version == payments.version
    tend(payments.fresh(), PAYMENTS.key)
    assert sorted(row[KEY] for row in read(spark, before).collect()) == [number for number, *_ in LANDED]
