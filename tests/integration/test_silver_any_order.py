"""Changes that arrive in any order, cut into any batches, end in the rows that one build of all gives: events told
again with another visitor, moment, order or payment, taken back, and told late."""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from data_platform.lake import merge as merging
from data_platform.lake.tables import Lake
from data_platform.silver import joined_step, step, user_sessions
from data_platform.silver.conformed import spark_type
from data_platform.silver.joined import Joined
from data_platform.silver.joined_step import join
from data_platform.silver.orders import ORDERS
from data_platform.silver.step import refine
from data_platform.silver.user_sessions import USER_SESSIONS
from data_platform.sources.kafka import ORDER_EVENTS, USER_EVENTS
from tests.integration.landed import land

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SEED = 11
TOPICS = (USER_EVENTS, ORDER_EVENTS)
MADE = (USER_SESSIONS, ORDERS)
BATCHES = 3
Row = dict[str, Any]


def told(chance: random.Random) -> dict[str, list[Row]]:
    """What is said of thirty events of each topic, each up to three times; the highest `_order` is the last word."""
    said: dict[str, list[Row]] = {topic.name: [] for topic in TOPICS}
    for offset in range(1, 61):
        key, moment = f"event {chance.randrange(30)}", NOON + timedelta(minutes=chance.randrange(600))
        for topic, row in ((USER_EVENTS, of_visitor(chance)), (ORDER_EVENTS, of_order(chance))):
            live = {"event_id": key, "event_time": moment, **row}
            gone = {"event_id": key, "_op": "delete"}
            said[topic.name].append((gone if chance.random() < 0.15 else live) | {"_order": offset})
    return said


def of_visitor(chance: random.Random) -> Row:
    return {
        "user_id": chance.choice([None, "ann", "ben"]),
        "anonymous_id": chance.choice(["cookie 1", "cookie 2"]),
        "event_type": chance.choice(["page_view", "add_to_cart", "purchase"]),
        "session_id": "as the front end says",
        "value": Decimal(chance.randrange(1, 99)),
        "currency": "USD",
        "page_url": f"https://shop.example/{chance.randrange(5)}",
    }


def of_order(chance: random.Random) -> Row:
    return {
        "order_id": f"O-{chance.randrange(6)}",
        "customer_id": chance.choice(["ann", "ben"]),
        "event_type": chance.choice(["placed", "paid", "shipped", "cancelled"]),
        "amount": Decimal(chance.randrange(1, 99)),
        "currency": "USD",
        "payment_id": chance.choice([None, 1, 2]),
    }


WORKED_OUT_BY = (merging, step, joined_step, user_sessions)


@pytest.fixture(scope="module", params=[merging.FEW, 0], ids=["few rows", "many rows"])
def followed(tmp_path_factory, spark, request) -> Iterator[Lake]:
    """The changes in an order by chance, a batch at a time; worked out here, or by Spark."""
    with pytest.MonkeyPatch.context() as patch:
        for module in WORKED_OUT_BY:
            patch.setattr(module, "FEW", request.param)
        yield landed_and_followed(Lake(str(tmp_path_factory.mktemp("orders") / "lake")), spark)


def landed_and_followed(lake: Lake, spark: Any) -> Lake:
    chance = random.Random(SEED)  # noqa: S311
    said = told(chance)
    for rows in said.values():
        chance.shuffle(rows)
    cuts = [0, *sorted(chance.sample(range(5, 55), BATCHES - 1)), None]
    for begin, end in pairwise(cuts):
        for topic in TOPICS:
            land(lake, topic, *said[topic.name][begin:end])
            refine(lambda: spark, topic, lake)
        for table in MADE:
            join(lambda: spark, table, lake)
    return lake


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_any_order_of_arrival_ends_where_one_build_ends(followed, spark, table):
    live = {
        source.silver_name: held(spark, followed, source.silver_name)
        if followed.silver(source.silver_name).exists
        else nothing(spark, source)
        for source in table.inputs
    }
    names = [column.name for column in table.columns]
    built, found = (
        {key_of(table, row): row for row in (each.asDict() for each in rows.select(names).collect())}
        for rows in (table.made(live), held(spark, followed, table.name))
    )
    assert len(built) > 3
    assert found == built


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_last_word_of_an_event_is_the_one_that_was_told_last(followed, topic):
    last: dict[str, Row] = {}
    for row in told(random.Random(SEED))[topic.name]:  # noqa: S311
        last[row["event_id"]] = row
    rows = followed.silver(topic.silver_name).query("select * from held where not is_deleted").to_pylist()
    assert {row["event_id"]: row["event_time"] for row in rows} == {
        key: row["event_time"] for key, row in last.items() if row.get("_op") != "delete"
    }


def held(spark: Any, lake: Lake, name: str) -> Any:
    return spark.read.format("delta").load(lake.silver(name).uri).where("not is_deleted")


def nothing(spark: Any, source: Any) -> Any:
    columns = [f"`{each.silver_name}` {spark_type(each.type)}" for each in source.columns if each.silver_name]
    return spark.createDataFrame([], ", ".join([*columns, "_landed_at timestamp"]))


def key_of(table: Joined, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)
