"""Silver's tables in the warehouses that gold is built in: every row, deleted ones too, whatever happens."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from threading import Barrier

import dagster as dg
import pyarrow as pa
import pytest

from data_platform.declarations import BOOLEAN, INTEGER, LIST, STRING, STRUCT, Column
from data_platform.gold import served
from data_platform.gold.served import loading_asset, serve, target_for
from data_platform.gold.serving.target import TargetUnreachable
from data_platform.gold.warehouse import copy_of, silver_key
from data_platform.lake.schema import arrow_type
from data_platform.settings import Settings
from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.sources.catalogue import table_named
from tests.integration.served.conftest import Silver

PRODUCTS = table_named("snowflake.product_catalog")
COPY = copy_of(PRODUCTS)
LANDED = datetime(2026, 6, 1, 4, 5, 6, 789_000, UTC)


class Products(Silver):
    """The catalogue in silver, and the truth of it."""

    def __init__(self, lake) -> None:
        types = [(c.silver_name, arrow_type(c.type)) for c in PRODUCTS.columns if c.silver_name]
        landed = ("_landed_at", arrow_type(COPY.columns[-1].type))
        super().__init__(lake, PRODUCTS.silver_name, pa.schema([*types, landed]), PRODUCTS.silver_key)


def product(number: int, **more) -> dict:
    row = {
        "product_id": f"P-{number:03}",
        "product_name": f'A "thing", no. {number}; it\'s\nnew',
        "category": None if number % 3 else "tools",
        "price": Decimal(number) + Decimal("0.99"),
        "attributes": f'{{"colour": "é", "n": [{number}]}}',
        "is_active": number % 2 == 0,
        "updated_at": datetime(2026, 5, 1, 23, 59, 59, number, UTC),
        "_landed_at": LANDED,
    }
    return row | more


class Warehouse:
    """A warehouse, as the platform loads it, and as a query of its own sees it."""

    def __init__(self, name, lake, given, ask) -> None:
        self.name, self.lake, self.given, self.ask = name, lake, given, ask

    def settings(self) -> Settings:
        return Settings(_env_file=None, warehouse=self.name, lake_uri=self.lake.uri, **self.given)

    def load(self):
        return serve(COPY, target_for(self.name, self.settings()), self.lake)

    def rows(self) -> list[tuple]:
        columns = ", ".join(column.name for column in COPY.columns)
        return [tuple(row) for row in self.ask(f"select {columns} from silver.{COPY.name} order by 1")]

    def agrees(self, silver: Silver) -> None:
        truth = [tuple(row[column.name] for column in COPY.columns) for _, row in sorted(silver.rows.items())]
        assert self.rows() == truth

    def order(self, **more) -> str:
        settings = self.given | {"lake_uri": self.lake.uri}
        return json.dumps({"target": self.name, "table": COPY.name, "settings": settings} | more)


@pytest.fixture
def products(lake) -> Products:
    return Products(lake)


@pytest.fixture
def on_redshift(to_redshift, served_postgres, lake) -> Iterator[Warehouse]:
    yield Warehouse("redshift", lake, to_redshift.given, served_postgres.execute)
    served_postgres.execute("drop schema if exists silver cascade")


@pytest.fixture
def on_snowflake(snowflake, lake) -> Iterator[Warehouse]:
    given = {name.lower(): value for name, value in snowflake.settings().items()}

    def ask(question):
        with snowflake.cursor() as cursor:
            cursor.execute("use database data_platform")
            return cursor.execute(question).fetchall()

    yield Warehouse("snowflake", lake, given, ask)
    ask("drop schema if exists data_platform.silver cascade")


@pytest.fixture(params=["redshift", "snowflake"])
def warehouse(request) -> Warehouse:
    return request.getfixturevalue(f"on_{request.param}")


def change_all_ways(products):
    products.change(product(1, price=Decimal("5.00")), product(40))
    products.delete(("P-002",), ("P-003",))
    products.change(product(3, attributes=None), product(4, category=None, price=None, updated_at=None))


def test_a_copy_has_every_row_with_deleted_ones_and_then_takes_what_changed_alone(warehouse, products):
    products.change(*(product(number) for number in range(30)))
    products.delete(("P-005",))

    first = warehouse.load()
    warehouse.agrees(products)
    assert (first.read, first.counts.added, first.counts.rows, first.adds_up) == (30, 30, 30, True)

    change_all_ways(products)
    then = warehouse.load()
    warehouse.agrees(products)
    counts = then.counts
    assert (then.read, counts.staged, counts.added, counts.changed, counts.deleted) == (5, 5, 1, 4, 0)
    assert (counts.before, counts.rows, then.adds_up, then.took_all) == (30, 31, True, False)

    quiet = warehouse.load()
    assert (quiet.read, quiet.counts.staged, quiet.counts.rows, quiet.adds_up) == (0, 0, 31, True)


def test_a_copy_that_somebody_dropped_or_changed_is_loaded_whole(warehouse, products):
    products.change(*(product(number) for number in range(10)))
    warehouse.load()
    warehouse.ask(f"drop table silver.{COPY.name}")
    assert warehouse.load().took_all
    warehouse.agrees(products)

    warehouse.ask(f"alter table silver.{COPY.name} drop column category")
    products.change(product(11))
    assert warehouse.load().took_all
    assert sorted(warehouse.rows(), key=str) == sorted(
        (tuple(row[column.name] for column in COPY.columns) for row in products.rows.values()), key=str
    )


KILLS = {
    "in the transaction, rows staged": ("_copy", "", True),
    "before the commit": ("execute", "commit", False),
    "after the commit": ("execute", "commit", True),
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_load_loses_and_doubles_no_row(on_snowflake, snowflake, products, killed_load, kill):
    products.change(*(product(number) for number in range(20)))
    on_snowflake.load()
    change_all_ways(products)
    method, statement, after = KILLS[kill]
    order = on_snowflake.order(method=method, statement=statement, after=after)
    before = on_snowflake.rows()

    assert killed_load(order) == -signal.SIGKILL

    if kill == "after the commit":
        on_snowflake.agrees(products)
    else:
        assert on_snowflake.rows() == before
    snowflake.end_sessions()
    assert on_snowflake.load().adds_up
    on_snowflake.agrees(products)


def test_loads_that_meet_double_no_row(on_snowflake, products, monkeypatch):
    """On a table that is there: of two that make it at once, the stand-in refuses one, which Snowflake does not."""
    products.change(product(1))
    on_snowflake.load()
    products.change(*(product(number) for number in range(2, 22)))
    together, rows, met = Barrier(2, timeout=60), served.rows, []

    def meeting(*given):
        if len(met) < 2:
            met.append(given)
            together.wait()
        yield from rows(*given)

    monkeypatch.setattr(served, "rows", meeting)

    def load(_):
        try:
            return on_snowflake.load().counts.added
        except TargetUnreachable:
            return "to be run again"

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(load, range(2)))

    assert 20 in done
    assert set(done) <= {20, 0, "to be run again"}
    on_snowflake.load()
    on_snowflake.agrees(products)


def test_what_has_an_inner_shape_is_left_out():
    columns = (
        Column("id", STRING),
        Column("tags", LIST(STRING)),
        Column("address", STRUCT(Column("city", STRING))),
        Column("number", INTEGER),
    )
    things = replace(AD_PERFORMANCE, name="things", key=("id",), columns=columns)
    copied = copy_of(things)
    assert [column.name for column in copied.columns] == [
        "id",
        "number",
        "is_deleted",
        "_batch",
        "_landed_at",
    ]
    assert copied.columns[2].type == BOOLEAN


def test_the_asset_says_what_was_loaded_and_that_it_adds_up(warehouse, products):
    products.change(product(1), product(2))
    key = silver_key(warehouse.name, COPY.name)
    asset = loading_asset(COPY, warehouse.name, key.path, "warehouse", warehouse.settings(), None)

    done = dg.materialize([asset])

    [check] = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("receipt_adds_up", True)
    [event] = done.get_asset_materialization_events()
    told = event.materialization.metadata
    assert (told["read"].value, told["added"].value, told["dagster/row_count"].value) == (2, 2, 2)
