"""What Spark reads of a table is what its log says, whatever the table is like and wherever it lies."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from data_platform.lake import merge as merging
from data_platform.lake.merge import create
from data_platform.lake.reading import read, wanted_of
from data_platform.lake.tables import Lake, Note
from tests.integration.kinds import FORTY_OF_EACH_KIND


def rows_of(frame) -> list[tuple]:
    return sorted(tuple(row) for row in frame.collect())


@pytest.mark.parametrize("folder", ["plain", "für 100% &c", "every*"])
def test_a_folder_may_be_called_anything(spark, tmp_path, folder):
    table = Lake(str(tmp_path / folder)).silver("places")
    write_deltalake(table.uri, pa.table({"place": ["Aix", "Bonn"], "_batch": [1, 1]}))
    write_deltalake(table.uri, pa.table({"place": ["Cork"], "_batch": [2]}), mode="append")
    assert rows_of(read(spark, table.fresh())) == [("Aix", 1), ("Bonn", 1), ("Cork", 2)]
    assert rows_of(read(spark, table.fresh(), after=1)) == [("Cork", 2)]
    assert rows_of(read(spark, table.fresh(), after=2)) == []


def test_it_stands_as_it_was_opened(spark, tmp_path):
    table = Lake(str(tmp_path)).silver("places")
    write_deltalake(table.uri, pa.table({"place": ["Aix"], "_batch": [1]}))
    opened = table.fresh()
    assert opened.exists
    write_deltalake(table.uri, pa.table({"place": ["Bonn"], "_batch": [2]}), mode="overwrite")
    assert rows_of(read(spark, opened)) == [("Aix", 1)]
    assert rows_of(read(spark, table.fresh().at(0))) == [("Aix", 1)]
    assert rows_of(read(spark, table.fresh())) == [("Bonn", 2)]


@pytest.mark.parametrize("region", ["Île-de-France", "a b/c=d%20e:f"])
def test_the_value_of_a_partition_is_read_as_it_was_written(spark, tmp_path, region):
    table = Lake(str(tmp_path)).silver("places")
    held = pa.table({"region": [region, None], "place": ["Paris", "Atlantis"], "_batch": [1, 1]})
    write_deltalake(table.uri, held, partition_by=["region"])
    found = read(spark, table.fresh()).select("place", "region").collect()
    assert {row["place"]: row["region"] for row in found} == {"Paris": region, "Atlantis": None}


def test_a_column_that_came_later_is_null_in_older_files(spark, tmp_path):
    table = Lake(str(tmp_path)).silver("places")
    write_deltalake(table.uri, pa.table({"place": ["Aix"]}))
    more = pa.table({"place": ["Bonn"], "country": ["DE"]})
    write_deltalake(table.uri, more, mode="append", schema_mode="merge")
    found = read(spark, table.fresh()).select("place", "country").collect()
    assert {row["place"]: row["country"] for row in found} == {"Aix": None, "Bonn": "DE"}


def test_rows_that_are_deleted_beside_their_file_are_left_out(spark, tmp_path):
    table = Lake(str(tmp_path)).silver("places")
    spark.sql(
        f"create table delta.`{table.uri}` (place string) using delta "
        "tblproperties ('delta.enableDeletionVectors' = 'true')"
    )
    spark.sql(f"insert into delta.`{table.uri}` select concat('place ', id) from range(100)")
    spark.sql(f"delete from delta.`{table.uri}` where place <> 'place 7'")
    assert rows_of(read(spark, table.fresh())) == [("place 7",)]


def test_a_table_without_rows_has_columns(spark, tmp_path):
    table = Lake(str(tmp_path)).silver("places")
    write_deltalake(table.uri, pa.table({"place": pa.array([], pa.string())}))
    assert read(spark, table.fresh()).columns == ["place"]
    assert rows_of(read(spark, table.fresh())) == []


MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [*FORTY_OF_EACH_KIND, ("timestamp", [MOMENT + timedelta(milliseconds=n * 333) for n in range(40)])],
)
@pytest.mark.parametrize("with_statistics", [True, False], ids=["in the log", "in the files alone"])
def test_whoever_looks_for_values_opens_the_files_that_may_hold_them(
    spark, tmp_path, monkeypatch, kind, keys, with_statistics
):
    monkeypatch.setattr(merging, "FILE_ROWS", 5)
    table = Lake(str(tmp_path)).silver("things")
    rows = spark.createDataFrame([(key, place) for place, key in enumerate(keys)], f"id {kind}, place int")
    told = ("id",) if with_statistics else ("place",)
    create(spark, table, rows, Note({"a": 1}), told, order=("id",), count=len(keys))
    table = table.fresh()
    looked_for = pa.table({"id": table.query("select id from held where place in (7, 31)").column("id")})
    wanted = wanted_of(looked_for)
    found = {row["place"] for row in read(spark, table, wanted=wanted).collect()}
    # Without statistics in the log, all between the two may come.
    assert {7, 31} <= found <= set(range(7, 32))
    opened = read(spark, table, wanted=wanted).inputFiles()
    assert len(opened) == (2 if with_statistics else len(table.delta.file_uris()))


def test_a_moment_that_spark_writes_is_told_by_its_file(spark, tmp_path):
    """Else each file is opened for each span of time."""
    table = Lake(str(tmp_path)).silver("events")
    rows = spark.createDataFrame([(MOMENT, 1)], "happened_at timestamp, _batch bigint")
    create(spark, table, rows, Note({"a": 1}), ("_batch",), order=("_batch",), count=1)
    (file,) = table.fresh().delta.file_uris()
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    assert (column.path_in_schema, column.statistics.min, column.statistics.max) == (
        "happened_at",
        MOMENT,
        MOMENT,
    )
