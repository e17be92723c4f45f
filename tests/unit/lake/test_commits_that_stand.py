"""A commit stands although what follows it fails: the log names its files, and whoever wrote them leaves them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from data_platform.lake.append import Appender
from data_platform.lake.compaction import compact_small
from data_platform.lake.errors import LakeError
from data_platform.lake.mirror import Shape, Stretch, bring_up
from data_platform.lake.tables import LakeTable, Note

SCHEMA = pa.schema([("id", pa.string()), ("_batch", pa.int64())])
STATISTICS = ("id", "_batch")


class ToldToStop(BaseException):
    """As Dagster raises it in a run that is cancelled, wherever that is."""


@pytest.fixture
def table(lake) -> LakeTable:
    return lake.at("bronze", "crm", "people").create(SCHEMA, STATISTICS)


def append(table: LakeTable, *ids: str) -> None:
    """As a load does: what is not committed is forgotten."""
    appender = Appender(table.fresh())
    try:
        appender.write(pa.RecordBatch.from_pydict({"id": list(ids)}))
        appender.commit(Note({"reached": ids[-1]}))
    except BaseException:
        appender.discard()
        raise


def put_together(table: LakeTable, *_: str) -> None:
    compact_small(table.fresh(), at_files=2)


def mirror(table: LakeTable, *ids: str) -> None:
    rows = pa.RecordBatch.from_pydict({"id": list(ids), "_batch": [1] * len(ids)}, schema=SCHEMA)
    stretch = Stretch(0, len(ids), "-".join(ids))
    bring_up(
        table.fresh(), Shape(SCHEMA, STATISTICS, ""), [stretch], lambda _: [rows], Note({"reached": ids[-1]})
    )


def the_checkpoint_fails(table: LakeTable, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """Because folders stand where it should be, as a full disk would let it fail."""
    held = table.fresh()
    assert held.delta is not None
    held.delta.alter.set_table_properties(
        {"delta.checkpointInterval": "1"}, commit_properties=held.carrying()
    )
    for version in range(table.fresh().version + 1, table.fresh().version + 4):
        Path(table.uri, "_delta_log", f"{version:020}.checkpoint.parquet", "in the way").mkdir(parents=True)
    return LakeError


def we_are_told_to_stop(_: LakeTable, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """In the moment in which the commit is made."""
    commit = DeltaTable.create_write_transaction

    def and_stop(*args: object, **kwargs: object) -> None:
        commit(*args, **kwargs)
        raise ToldToStop

    monkeypatch.setattr(DeltaTable, "create_write_transaction", and_stop)
    return ToldToStop


@pytest.mark.parametrize("trouble", [the_checkpoint_fails, we_are_told_to_stop])
@pytest.mark.parametrize(
    ("write", "expected"),
    [(append, ["a", "b", "c", "d"]), (put_together, ["a", "b"]), (mirror, ["c", "d"])],
)
def test_what_a_commit_names_is_there(
    table, monkeypatch, trouble: Callable, write: Callable, expected: list[str]
):
    append(table, "a")
    append(table, "b")
    before = table.fresh().version
    with monkeypatch.context() as patched:
        raised = trouble(table, patched)
        with pytest.raises(raised):
            write(table, "c", "d")
    after = table.fresh()
    assert after.version > before
    assert after.query("select id from held order by id").column("id").to_pylist() == expected
    assert after.position == {"reached": "b" if write is put_together else "d"}
