"""What Spark reads of a table is what its log says, whatever the table is like and wherever it lies."""

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_platform.lake.reading import read
from data_platform.lake.tables import Lake


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
