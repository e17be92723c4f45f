"""What lands from PostgreSQL is what is there, load after load."""

import pytest

from data_platform.sources.postgres import CUSTOMERS, TABLES


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_first_load_lands_every_row_as_it_is(shop, table):
    loaded = shop.load(table)
    shop.agrees(table)
    rows = len(shop.shop.rows[table.name])
    assert (loaded.receipt.offered, loaded.receipt.landed) == (rows, rows)
    assert not loaded.drift


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_day_lands_what_changed_and_no_more(shop, table):
    shop.load(table)
    for _ in range(3):
        shop.database.live_a_day()
        loaded = shop.load(table)
        shop.agrees(table)
        assert 0 < loaded.receipt.landed < len(shop.shop.rows[table.name]) / 5
    assert shop.load(table).receipt.landed == 0


def test_a_quiet_table_leaves_no_commit(shop):
    shop.load(CUSTOMERS)
    version = shop.lake.bronze(CUSTOMERS).version
    shop.load(CUSTOMERS)
    assert shop.lake.bronze(CUSTOMERS).version == version


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_killed_first_load_goes_on_in_the_middle_of_what_changed_meanwhile(shop, table, small_batches):
    shop.load_killed(table, after=3)
    before = {tuple(row[name] for name in table.key) for row in shop.rows(table)}
    assert 0 < len(before) < len(shop.shop.rows[table.name])
    shop.database.live_a_day()
    shop.load(table)
    shop.agrees(table)
    read_whole = [row for row in shop.rows(table) if " as of " in row["_origin"]]
    keys = [tuple(row[name] for name in table.key) for row in read_whole]
    assert len(keys) == len(set(keys))
    shop.database.live_a_day()
    shop.load(table)
    shop.agrees(table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_changes_that_were_cut_off_land_once(shop, table, small_batches):
    shop.load(table)
    for _ in range(3):
        shop.database.live_a_day()
    shop.load_killed(table, after=2)
    shop.database.live_a_day()
    shop.load(table)
    shop.agrees(table)
    orders = [row["_order"] for row in shop.rows(table) if "WAL" in row["_origin"]]
    assert len(orders) == len(set(orders))
