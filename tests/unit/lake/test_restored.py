import pyarrow as pa
from deltalake import DeltaTable

from data_platform.lake.append import Appender
from data_platform.lake.tables import Lake, Note

SCHEMA = pa.schema([("id", pa.string()), ("_batch", pa.int64()), ("_landed_at", pa.timestamp("us", "UTC"))])


def test_a_restored_table_goes_on_from_the_position_of_its_restored_version(tmp_path):
    table = Lake(str(tmp_path)).at("bronze", "shop", "orders").create(SCHEMA, ("id",))
    appender = Appender(table)
    for number in (1, 2, 3):
        appender.write(pa.RecordBatch.from_pydict({"id": [str(number)]}))
        appender.commit(Note({"read": number}))
    DeltaTable(table.uri).restore(2)

    restored = table.fresh()

    assert restored.position == {"read": 2}
    assert restored.query("select id from held order by id").column("id").to_pylist() == ["1", "2"]

    again = Appender(restored)
    again.write(pa.RecordBatch.from_pydict({"id": ["3"]}))
    again.commit(Note({"read": 3}))

    assert table.fresh().position == {"read": 3}
