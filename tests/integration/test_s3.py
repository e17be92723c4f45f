"""The lake on S3 is the lake of a folder: the same commits, positions, conflicts and maintenance, over a server.

moto's server takes conditional puts, on which delta-rs' commits rest. Silver on S3 needs Hadoop's S3 client, which
is not among the jars of a local set-up.
"""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import boto3
import pyarrow as pa
import pytest

from data_platform.bronze.load import bronze_table, load
from data_platform.connectors.base import Batch, Offer, Part
from data_platform.lake import append
from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small, live_files
from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.maintenance import sweep, tend
from data_platform.lake.mirror import Shape, Stretch, bring_up
from data_platform.lake.places import lake_of
from data_platform.lake.schema import LANDED_ON, connector_schema
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.settings import Settings
from data_platform.sources.postgres import PAYMENTS
from data_platform.sources.salesforce import LEADS

SCHEMA = pa.schema([("Id", pa.string()), ("Email", pa.string()), ("_batch", pa.int64())])
SECRET = "a-secret-of-s3"


@pytest.fixture
def settings(s3_url, request) -> Settings:
    bucket = request.node.name.split("[")[0].replace("_", "-")[:60].strip("-")
    known = {"aws_access_key_id": "somebody", "aws_secret_access_key": SECRET}
    boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **known).create_bucket(Bucket=bucket)
    place = {"lake_uri": f"s3://{bucket}/lake/", "aws_endpoint_url": s3_url, "aws_region": "us-east-1"}
    return Settings(_env_file=None, **place, **known)


@pytest.fixture
def people(settings):
    return lake_of(settings).at("bronze", "crm", "people").create(SCHEMA, ("Id", "_batch"))


def land(table, *ids: str, reached: int) -> int:
    appender = Appender(table.fresh())
    appender.write(pa.RecordBatch.from_pydict({"Id": list(ids), "Email": ["ann@example.com"] * len(ids)}))
    return appender.commit(Note({"reached": reached}, {"landed": len(ids)}))


def ids_in(table) -> list[str]:
    return table.fresh().query('select "Id" from held order by "Id"').column("Id").to_pylist()


def objects(settings: Settings) -> list[str]:
    client = boto3.client(
        "s3",
        endpoint_url=settings.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key=SECRET,
    )
    bucket = settings.lake.split("/")[2]
    return [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]


def test_rows_and_position_are_in_one_commit(people, settings):
    assert [land(people, "a", "b", reached=1), land(people, "c", reached=2)] == [1, 2]
    held = people.fresh()
    assert (ids_in(held), held.batch, dict(held.position), held.receipt.landed) == (
        ["a", "b", "c"],
        2,
        {"reached": 2},
        1,
    )
    assert all(key.startswith("lake/bronze/crm/people/") for key in objects(settings))


def test_of_two_writers_one_wins_and_the_other_changes_nothing(people, settings):
    first, second = Appender(people.fresh()), Appender(people.fresh())
    first.write(pa.RecordBatch.from_pydict({"Id": ["first"]}))
    second.write(pa.RecordBatch.from_pydict({"Id": ["second"]}))
    first.commit(Note({"reached": 1}))
    with pytest.raises(CommitLost, match=r"another run wrote to s3://.*/people"):
        second.commit(Note({"reached": 2}))
    second.discard()
    assert (ids_in(people), dict(people.fresh().position)) == (["first"], {"reached": 1})
    assert sum(key.endswith(".parquet") for key in objects(settings)) == 1


def test_a_position_is_set_and_columns_are_added(people):
    land(people, "a", reached=1)
    people.fresh().set_position({"reached": 0})
    widened = people.fresh().create(SCHEMA.append(pa.field("Score", pa.int64())), ("Id", "_batch"))
    assert (dict(widened.position), widened.batch) == ({"reached": 0}, 2)
    assert widened.query('select "Score" from held').column("Score").to_pylist() == [None]


def test_maintenance_carries_the_position(people, settings):
    for number in range(3):
        land(people, f"{number}", reached=number)
    tended = tend(people.fresh(), keep_replaced=timedelta(0))
    assert (tended.files_before, tended.files_after, tended.deleted) == (3, 1, 3)
    held = people.fresh()
    assert (ids_in(held), held.batch, dict(held.position)) == (["0", "1", "2"], 3, {"reached": 2})
    assert any(key.endswith("_last_checkpoint") for key in objects(settings))


class Once:
    """Three leads, and nothing after them."""

    def offer(self, table, landed) -> Offer:
        if landed.position:
            return Offer(iter(()), landed.position)
        rows = [{"Id": f"lead {number}", "_op": "upsert"} for number in range(3)]
        batch = Batch(pa.RecordBatch.from_pylist(rows, schema=connector_schema(table)))
        return Offer(iter([Part(iter([batch]), 3, ("Id",), may_repeat=False)]), {"done": True})


def test_a_load_lands_and_a_quiet_one_leaves_no_object(settings):
    lake = lake_of(settings)
    assert load(LEADS, Once(), lake, 1_000).receipt.says == "3 offered = 3 landed + 0 overlap + 0 quarantined"
    before = objects(settings)
    assert load(LEADS, Once(), lake, 1_000).receipt.landed == 0
    assert objects(settings) == before
    assert ids_in(lake.bronze(LEADS)) == ["lead 0", "lead 1", "lead 2"]


def test_a_bucket_that_is_not_there_is_told_without_the_secret(settings):
    lake = Lake("s3://no-such-bucket/lake", lake_of(settings).storage_options)
    with pytest.raises(
        LakeError, match=r"reading s3://no-such-bucket/lake/people failed: .*LAKE_URI"
    ) as told:
        lake.at("people").create(SCHEMA, ("Id",))
    assert SECRET not in str(told.value)
    assert SECRET not in repr(lake_of(settings))


def test_a_table_by_days_is_compacted_and_ordered(settings, monkeypatch):
    table = bronze_table(PAYMENTS, lake_of(settings))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    monkeypatch.setattr(append, "datetime", Mock(wraps=datetime, now=lambda _: yesterday))
    appender = Appender(table)
    for number in range(1, 7):
        rows = [{PAYMENTS.key[0]: number, "_op": "upsert"}]
        appender.write(pa.RecordBatch.from_pylist(rows, schema=connector_schema(PAYMENTS)))
        appender.commit(Note({"reached": number}))
        compact_small(appender.table, 4)
    day = f"{LANDED_ON}={yesterday.date()}"
    assert [file.path.split("/")[0] for file in live_files(table.fresh())] == [day] * 3
    assert tend(table.fresh(), PAYMENTS.key).files_after == 1
    held = table.fresh()
    assert held.query(f'select "{PAYMENTS.key[0]}" as id from held')["id"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert (held.batch, held.position) == (6, {"reached": 6})
    assert sum(f"/payments/{day}/" in key for key in objects(settings)) == 8


def test_a_table_that_mirrors_another_is_brought_up_by_the_stretches_that_changed(settings):
    table = lake_of(settings).at("gold", "people")
    shape = Shape(SCHEMA, ("Id", "_batch"), "People.")

    def bring(held: LakeTable, *stretches: tuple[str, ...]) -> int:
        told = [Stretch(number, len(ids), "-".join(ids)) for number, ids in enumerate(stretches)]
        return bring_up(
            held,
            shape,
            told,
            lambda stretch: [
                pa.RecordBatch.from_pydict(
                    {
                        "Id": list(stretches[stretch.number]),
                        "Email": [None] * stretch.rows,
                        "_batch": [1] * stretch.rows,
                    },
                    schema=SCHEMA,
                )
            ],
            Note({"content": str(stretches)}),
        )

    assert bring(table, ("a", "b"), ("c",)) == 3
    late = table.fresh()
    assert late.exists
    assert bring(table.fresh(), ("a", "b"), ("c", "d")) == 2
    assert ids_in(table) == ["a", "b", "c", "d"]
    with pytest.raises(CommitLost):
        bring(late, ("a", "b"))
    assert ids_in(table) == ["a", "b", "c", "d"]
    sweep(table.fresh(), keep_replaced=timedelta(0))
    assert (
        len([name for name in objects(settings) if name.endswith(".parquet") and "people/_delta" not in name])
        == 2
    )
    assert bring(table.fresh()) == 0
    assert ids_in(table) == []
