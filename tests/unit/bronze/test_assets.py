"""A bronze asset of a stream keeps its files few as it is loaded again and again."""

import dagster as dg
import pyarrow as pa
import pytest

from data_platform.bronze import assets
from data_platform.bronze.assets import bronze_asset
from data_platform.connectors.base import Batch, Offer, Part
from data_platform.lake.compaction import AT_FILES, live_files
from data_platform.lake.errors import LakeError
from data_platform.lake.places import lake_of
from data_platform.lake.schema import connector_schema
from data_platform.settings import Settings
from data_platform.sources.postgres import PAYMENTS

KEY = PAYMENTS.key[0]


class OneMore:
    """A row that was not there at the last load."""

    def offer(self, table, landed) -> Offer:
        number = (landed.position or {}).get("number", 0) + 1
        row = {KEY: number, "_op": "upsert", "_order": number}
        batch = Batch(pa.RecordBatch.from_pylist([row], schema=connector_schema(table)))
        return Offer(iter([Part(iter([batch]), 1, (KEY,), may_repeat=False)]), {"number": number})


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setattr(assets, "connector_for", lambda *_: OneMore())
    return Settings(_env_file=None, data_platform_home=tmp_path)


def loads(settings: Settings, times: int) -> list[bool]:
    asset = bronze_asset(PAYMENTS, settings)
    with dg.DagsterInstance.ephemeral() as instance:
        return [dg.materialize([asset], instance=instance).success for _ in range(times)]


def test_a_stream_s_small_files_are_put_together_as_it_is_loaded(settings):
    assert all(loads(settings, AT_FILES + 1))
    held = lake_of(settings).bronze(PAYMENTS)
    assert [file.rows for file in live_files(held)] == [AT_FILES, 1]
    assert (held.batch, held.position) == (AT_FILES + 1, {"number": AT_FILES + 1})


def test_files_that_can_t_be_put_together_are_no_reason_to_fail(settings, monkeypatch):
    def refuse(_):
        raise LakeError("the disk is full")

    monkeypatch.setattr(assets, "compact_small", refuse)
    assert loads(settings, 1) == [True]
    assert lake_of(settings).bronze(PAYMENTS).rows == 1
