"""Gold as Delta tables in the lake: what the file holds, written where it changed, and no personal value in a log."""

import errno
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from data_platform.gold import published
from data_platform.gold.dbt import EXTENSIONS, _install_extension
from data_platform.gold.published import Model, ModelColumn, models_of, publish
from data_platform.lake.compaction import live_files
from data_platform.lake.errors import CommitLost, LakeError

SALES = Model(
    *("sales", "crm", "Sales.", ("team:sales",)),
    {name: ModelColumn("", "internal") for name in ("sale_id", "amount", "sold_at", "_batch")},
)
AT = datetime(2026, 5, 1, 22, 30, 0, 123_456, UTC)


@pytest.fixture
def gold():
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'Asia/Tokyo'; set TimeZone = 'UTC'; create schema crm")
        connection.execute(
            "create table crm.sales (sale_id varchar, email varchar, amount decimal(18,2), "
            "sold_at timestamp with time zone, ratio double, _batch bigint)"
        )
        yield connection


def sell(gold, number: int, batch: int = 1, email: str | None = "ada@example.com") -> None:
    row = (f"S{number}", email, Decimal(number) / 4, AT, number / 3, batch)
    gold.execute("insert into crm.sales values (?, ?, ?, ?, ?, ?)", row)


def in_the_lake(lake) -> list[tuple]:
    table = lake.at("gold", "sales").query("select * from held order by sale_id, ratio, _batch, email")
    return [tuple(row.values()) for row in table.to_pylist()]


def in_gold(gold) -> list[tuple]:
    rows = gold.execute("from crm.sales order by sale_id, ratio, _batch, email").fetchall()
    return [tuple(v.astimezone(UTC) if isinstance(v, datetime) else v for v in row) for row in rows]


def test_a_table_is_written_where_its_content_changed_and_not_where_its_order_did(gold, lake):
    for number in range(5):
        sell(gold, number)
    assert publish(SALES, gold, lake).is_new
    assert in_the_lake(lake) == in_gold(gold)
    assert lake.at("gold", "sales").position["batch"] == 1

    gold.execute("create table crm.turned as from crm.sales order by sale_id desc")
    gold.execute("delete from crm.sales; insert into crm.sales from crm.turned")
    before = lake.at("gold", "sales").version
    assert not publish(SALES, gold, lake).is_new
    assert lake.at("gold", "sales").version == before

    gold.execute("update crm.sales set amount = amount + 1, _batch = 2 where sale_id = 'S3'")
    sell(gold, 9, batch=3, email=None)
    again = publish(SALES, gold, lake)
    assert (again.is_new, again.rows) == (True, 6)
    assert in_the_lake(lake) == in_gold(gold)
    assert (lake.at("gold", "sales").version, lake.at("gold", "sales").batch) == (before + 1, 2)
    assert lake.at("gold", "sales").position["batch"] == 3


def test_rows_that_cancel_each_other_out_are_another_content(gold, lake):
    sell(gold, 1)
    publish(SALES, gold, lake)
    sell(gold, 2)
    sell(gold, 2)
    assert publish(SALES, gold, lake).is_new
    assert len(in_the_lake(lake)) == 3


def test_an_empty_table_and_a_new_column_are_published(gold, lake):
    assert publish(SALES, gold, lake).rows == 0
    assert in_the_lake(lake) == []
    gold.execute("alter table crm.sales add column region varchar default 'north'")
    sell_with_region = "insert into crm.sales values ('S1', 'a@b.example', 1, now(), 0.5, 1, 'south')"
    gold.execute(sell_with_region)
    publish(SALES, gold, lake)
    assert in_the_lake(lake)[0][-1] == "south"


@pytest.fixture
def short_stretches(monkeypatch):
    monkeypatch.setattr(published, "STRETCH_ROWS", 4)


def files_of(lake) -> dict[str, int]:
    return {file.path: file.rows for file in live_files(lake.at("gold", "sales"))}


def test_only_the_stretches_that_changed_are_written(gold, lake, short_stretches):
    for number in range(10):
        sell(gold, number)
    assert publish(SALES, gold, lake).written == 10
    before = files_of(lake)
    assert sorted(before.values()) == [2, 4, 4]

    gold.execute("update crm.sales set ratio = 0 where sale_id = 'S5'")
    sell(gold, 10)
    again = publish(SALES, gold, lake)
    # An update is a row that goes and one that comes last.
    assert (again.rows, again.written) == (11, len(in_gold(gold)) - sum(kept(before, lake).values()))
    assert kept(before, lake)
    assert in_the_lake(lake) == in_gold(gold)


def kept(before: dict[str, int], lake) -> dict[str, int]:
    return {path: rows for path, rows in files_of(lake).items() if path in before}


def test_the_lake_follows_whatever_happens_to_a_table(gold, lake, short_stretches):
    chance = Random(20)  # noqa: S311 - no secret
    for number in range(40):
        sell(gold, number)
    for round_ in range(25):
        publish(SALES, gold, lake)
        assert in_the_lake(lake) == in_gold(gold), f"round {round_}"
        known = sorted({row[0] for row in in_gold(gold)})
        for _ in range(chance.randrange(4)):
            match chance.choice(("sell", "twice", "change", "delete", "turn")):
                case "sell":
                    sell(gold, 100 * (round_ + 1) + chance.randrange(100), batch=round_)
                case "twice":
                    for _ in range(2 * 4):
                        sell(gold, 7, email=None)
                case "change":
                    gold.execute(
                        "update crm.sales set ratio = ratio + 1 where sale_id = ?", [chance.choice(known)]
                    )
                case "delete":
                    gold.execute("delete from crm.sales where sale_id = ?", [chance.choice(known)])
                case "turn":
                    gold.execute("create or replace table crm.sales as from crm.sales order by hash(sale_id)")


def test_a_table_that_was_written_without_stretches_becomes_one_of_them(gold, lake):
    sell(gold, 1)
    publish(SALES, gold, lake)
    sell(gold, 2)
    # As an older version of this code did, and as files that were put together are.
    held = lake.at("gold", "sales")
    rows = gold.execute("from crm.sales").to_arrow_table()
    write_deltalake(held.uri, rows, mode="overwrite", commit_properties=held.carrying())
    assert publish(SALES, gold, lake).written == 2
    assert in_the_lake(lake) == in_gold(gold)


def test_a_read_that_breaks_off_leaves_the_table_and_no_file_of_its_own(
    gold, lake, short_stretches, monkeypatch
):
    for number in range(10):
        sell(gold, number)
    publish(SALES, gold, lake)
    before, there = in_the_lake(lake), set(Path(lake.at("gold", "sales").uri).glob("*.parquet"))
    for number in range(10, 20):
        sell(gold, number)

    def breaks(stretch, *_args):
        if stretch.number == 4:
            raise OSError(errno.EIO, "the disk is gone")
        return reading(stretch, *_args)

    reading = published._rows_of
    with monkeypatch.context() as patched, pytest.raises(LakeError, match=r"writing .*sales"):
        patched.setattr(published, "_rows_of", breaks)
        publish(SALES, gold, lake)
    assert in_the_lake(lake) == before
    assert set(Path(lake.at("gold", "sales").uri).glob("*.parquet")) == there
    publish(SALES, gold, lake)
    assert in_the_lake(lake) == in_gold(gold)


def test_of_two_that_publish_at_once_one_wins(gold, lake, monkeypatch):
    sell(gold, 1)
    publish(SALES, gold, lake)
    sell(gold, 2)

    def overtaken(*args):
        with monkeypatch.context() as patched:
            patched.setattr(published, "_rows_of", reading)
            publish(SALES, other, lake)
        return reading(*args)

    reading = published._rows_of
    other = gold.cursor()
    other.execute("set TimeZone = 'UTC'")
    monkeypatch.setattr(published, "_rows_of", overtaken)
    with pytest.raises(CommitLost, match="another run"):
        publish(SALES, gold, lake)
    assert in_the_lake(lake) == in_gold(gold)


def test_of_a_column_that_becomes_personal_no_value_stays_in_what_the_log_says_of_files(gold, lake):
    sell(gold, 1)
    publish(SALES, gold, lake)
    private = replace(
        SALES, columns={"amount": ModelColumn("", "internal"), "sale_id": ModelColumn("", "personal")}
    )
    assert publish(private, gold, lake).written == 1
    held = lake.at("gold", "sales").delta
    assert held is not None
    statistics = {
        name for name in pa.table(held.get_add_actions(flatten=True)).column_names if name.startswith("min")
    }
    assert statistics == {"min.amount"}
    sell(gold, 2)
    assert publish(private, gold, lake).is_new
    assert not publish(private, gold, lake).is_new


def test_no_personal_value_is_in_the_log(gold, lake):
    sell(gold, 1, email="ada@example.com")
    publish(SALES, gold, lake)
    sell(gold, 2, email="bob@example.com")
    publish(SALES, gold, lake)
    DeltaTable(lake.at("gold", "sales").uri).create_checkpoint()
    logs = [
        path.read_bytes()
        for path in Path(lake.at("gold", "sales").uri, "_delta_log").iterdir()
        if path.is_file()
    ]
    assert any(b"minValues" in log and b"sale_id" in log for log in logs)
    assert not any(b"example.com" in log for log in logs)


def test_duckdb_delta_rs_and_spark_read_it(gold, lake, spark):
    for number in range(3):
        sell(gold, number)
    publish(SALES, gold, lake)
    uri = lake.at("gold", "sales").uri
    _install_extension("delta")
    with duckdb.connect(config={"extension_directory": str(EXTENSIONS)}) as reader:
        reader.execute("load delta")
        assert reader.execute(f"select sum(amount), count(*) from delta_scan('{uri}')").fetchone() == (
            Decimal("0.75"), 3,
        )  # fmt: skip
    by_delta_rs = (
        QueryBuilder().register("held", DeltaTable(uri)).execute("select count(*) as rows from held")
    )
    assert by_delta_rs.read_all()["rows"][0].as_py() == 3
    assert spark.read.format("delta").load(uri).where("amount > 0.2").count() == 2


def test_views_are_not_published_and_personal_columns_have_no_statistics():
    def node(name: str, materialized: str) -> dict:
        columns = {
            "sale_id": {"config": {"meta": {"classification": "internal"}}},
            "email": {"config": {"meta": {"classification": "personal:email"}}},
            "amount": {"config": {}},
        }
        config = {"materialized": materialized, "meta": {"dagster": {"owners": ["team:sales"]}}}
        told = {"name": name, "schema": "crm", "description": "One\n row.", "columns": columns}
        return {"resource_type": "model", "config": config, **told}

    nodes = {name: node(name, kind) for name, kind in (("a", "view"), ("b", "table"), ("c", "incremental"))}
    models = models_of({"nodes": nodes | {"test": {"resource_type": "test"}}})
    assert [model.name for model in models] == ["b", "c"]
    assert models[0].stats == ("sale_id", "amount")
    assert (models[0].description, models[0].owners) == ("One row.", ("team:sales",))
