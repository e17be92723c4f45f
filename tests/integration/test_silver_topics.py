"""Two days of the company's topics, from Kafka to silver, against what was sent, message by message.

What silver should make of a topic is said here a second time, in Python: the last that was told of each event.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load
from data_platform.declarations import SourceTable
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.silver.step import refine
from data_platform.sources.kafka import TABLES
from sandbox.kafka.server import KafkaServer
from sandbox.kafka.topics import Encoder, Topics
from sandbox.world.company import Sizes, World
from sandbox.world.events import EVERYWHERE, PER_THOUSAND, Message, Streams

DAYS = (0, 1)
Row = dict[str, Any]
# Which rows break which error rule.
ERRORS: Mapping[str, Mapping[str, Callable[[Row], bool]]] = {
    "user_events": {},
    "order_events": {
        "customer_id_not_null": lambda row: row["customer_id"] is None,
        "amount_at_least": lambda row: row["amount"] < 0,
    },
    "inventory_updates": {"quantity_change_not_null": lambda row: row["quantity_change"] is None},
    "card_transactions": {"amount_at_least": lambda row: row["amount"] < 0},
}
# Which planted fault is marked by which warning.
WARNINGS = {
    ("user_events", "unknown_type"): "event_type_one_of",
    ("inventory_updates", "unknown_category"): "category_one_of",
    ("card_transactions", "unknown_currency"): "currency_one_of",
}


@dataclass(frozen=True)
class Held:
    """What was sent to a topic up to a day, and what the lake held of it then."""

    sent: dict[str, Message]
    bronze: list[Row]
    unreadable: list[Row]
    silver: list[Row]
    quarantine: list[Row]


@dataclass(frozen=True)
class Company:
    server: KafkaServer
    streams: Streams
    encoder: Encoder
    held: dict[tuple[int, str], Held]

    def planted(self, table: SourceTable, day: int, fault: str) -> list[str]:
        """The keys of all messages up to that day with a fault."""
        return [
            key
            for each in range(day + 1)
            for key in self.streams.planted(table.name, each).get(fault, [])  # type: ignore[arg-type]
        ]


@pytest.fixture(scope="module")
def company(tmp_path_factory, spark) -> Iterator[Company]:
    streams = Streams(World(sizes=Sizes(accounts=20, contacts=400, leads=20, opportunities=20)))
    with KafkaServer() as server:
        topics = Topics(server, streams)
        settings = Settings(
            _env_file=None,
            data_platform_home=tmp_path_factory.mktemp("home"),
            token_key="key of this test",
            **{name.lower(): value for name, value in server.settings().items()},
        )
        company = Company(server, streams, topics.encoder, {})
        for day in DAYS:
            topics.publish_until(day)
            for table in TABLES:
                company.held[day, table.name] = held_after(
                    table, settings, spark, by_origin(streams, table, day)
                )
        yield company


def held_after(table: SourceTable, settings: Settings, spark: Any, sent: dict[str, Message]) -> Held:
    lake = lake_of(settings)
    # Fewer than there are, so that a load makes several commits.
    loaded = load(table, connector_for(table, settings), lake, 100)
    assert loaded.receipt.adds_up
    assert not loaded.gaps
    refine(lambda: spark, table, lake)
    tables = (
        lake.bronze(table),
        lake.quarantine(table),
        lake.silver(table.silver_name),
        lake.silver_quarantine(table.silver_name),
    )
    return Held(
        sent, *(each.query("select * from held").to_pylist() if each.exists else [] for each in tables)
    )


def by_origin(streams: Streams, table: SourceTable, day: int) -> dict[str, Message]:
    """Each message by where the broker keeps it: a partition's messages are numbered as they were sent."""
    sent, ends = {}, Counter[int]()
    for message in streams.until(table.name, day):  # type: ignore[arg-type]
        sent[f"{table.name}/{message.partition}/{ends[message.partition]}"] = message
        ends[message.partition] += 1
    return sent


each_day = pytest.mark.parametrize("day", DAYS)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def told(table: SourceTable, row: Row) -> Row:
    """What a message says, in the declared columns that land as they are."""
    return {column.name: row.get(column.name) for column in table.columns if not column.lands}


def as_told(table: SourceTable, row: Row) -> Row:
    """The same of a row of the lake; what is inside of a text of JSON counts, and not how it is written."""
    return {
        column.name: json.loads(value, parse_float=Decimal)
        if column.type.kind == "json" and (value := row[column.name])
        else row[column.name]
        for column in table.columns
        if not column.lands
    }


def plain(row: Row) -> Row:
    """Numbers within JSON as they are read there."""
    return {name: _plain(value) if isinstance(value, dict | list) else value for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return Decimal(str(value)) if isinstance(value, float) else value


def newest(sent: dict[str, Message]) -> dict[str, Message]:
    """The last readable message of each event; one key is always in one partition."""
    return {message.key: message for message in sent.values() if not message.poison}


def broken(table: SourceTable, row: Row) -> list[str]:
    return [rule for rule, breaks in ERRORS[table.name].items() if breaks(row)]


@each_day
@each_table
def test_every_message_is_in_bronze_or_quarantine_once(company, table, day):
    held = company.held[day, table.name]
    found = Counter(row["_origin"] for row in held.bronze + held.unreadable)
    assert found == Counter(dict.fromkeys(held.sent, 1))
    assert {row["_origin"] for row in held.unreadable} == {
        origin for origin, message in held.sent.items() if message.poison
    }


@each_day
@each_table
def test_bronze_says_what_each_message_said(company, table, day):
    held = company.held[day, table.name]
    for row in held.bronze:
        message = held.sent[row["_origin"]]
        assert row["_message_key"] == message.key
        assert json.loads(row["_headers"]) == {name: value.decode() for name, value in message.headers}
        if message.row is None:
            assert (row["_op"], row["event_id"]) == ("delete", message.key)
            continue
        assert row["_op"] == "upsert"
        assert as_told(table, row) == plain(told(table, message.row))
        assert json.loads(row["_rescued"] or "{}") == message.besides


@each_table
def test_what_nobody_can_read_is_kept_with_its_bytes_and_a_reason(company, table):
    held = company.held[DAYS[-1], table.name]
    for row in held.unreadable:
        message = held.sent[row["_origin"]]
        sent = company.encoder.value(message)
        if table.name == "card_transactions" and message.row["card_number"].encode() in sent:
            hidden = "*" * 12 + message.row["card_number"][-4:]
            sent = sent.replace(message.row["card_number"].encode(), hidden.encode())
        assert row["_body"] == sent
        assert row["_reason"]


@each_day
@each_table
def test_silver_holds_the_last_word_of_each_event(company, table, day):
    held = company.held[day, table.name]
    last = newest(held.sent)
    rows = {row["event_id"]: row for row in held.silver}
    assert {key for key, row in rows.items() if row["is_deleted"]} == {
        key for key, message in last.items() if message.row is None
    }
    expected = {
        key: plain(told(table, message.row))
        for key, message in last.items()
        if message.row is not None and not broken(table, message.row)
    }
    live = {key: as_told(table, row) for key, row in rows.items() if not row["is_deleted"]}
    assert live == expected


@each_day
@each_table
def test_rows_that_break_a_rule_wait_in_quarantine_and_no_others(company, table, day):
    held = company.held[day, table.name]
    expected = {
        key: reasons
        for key, message in newest(held.sent).items()
        if message.row is not None and (reasons := broken(table, message.row))
    }
    assert {row["event_id"]: row["_reasons"] for row in held.quarantine} == expected


@each_table
def test_a_doubtful_value_lands_with_a_mark(company, table):
    marked = {
        row["event_id"]: row["_warnings"]
        for row in company.held[DAYS[-1], table.name].silver
        if row["_warnings"]
    }
    expected = {
        key: [rule]
        for (name, fault), rule in WARNINGS.items()
        if name == table.name
        for key in company.planted(table, DAYS[-1], fault)
    }
    assert marked == expected


def test_a_sandbox_that_starts_again_sends_nothing_twice(company):
    again = Topics(company.server, company.streams)
    before = again.ends()
    again.publish_until(DAYS[-1])
    assert again.ends() == before
    again.publish_until(DAYS[-1] + 1)
    assert again.ends() == Counter(
        (table.name, message.partition)
        for table in TABLES
        for message in company.streams.until(table.name, DAYS[-1] + 1)
    )


@each_table
def test_the_streams_of_a_seed_are_the_same_each_time_and_hold_each_fault(table, company):
    again = Streams(World(sizes=company.streams.world.sizes))
    later = World(sizes=company.streams.world.sizes)
    later.advance(2)
    for day in DAYS:
        assert again.messages(table.name, day) == company.streams.messages(table.name, day)
        assert Streams(later).messages(table.name, day) == company.streams.messages(table.name, day)
        planted = company.streams.planted(table.name, day)
        assert set(planted) >= {*EVERYWHERE, *PER_THOUSAND[table.name]}
        assert all(planted.values())
    other = Streams(World(seed=7, sizes=company.streams.world.sizes))
    assert other.messages(table.name, 0) != company.streams.messages(table.name, 0)


def test_a_card_number_is_nowhere_and_its_token_tells_cards_apart(company):
    held = company.held[DAYS[-1], "card_transactions"]
    numbers = {message.row["card_number"] for message in held.sent.values() if message.row}
    tokens: dict[str, set[str]] = {}
    for row in held.bronze:
        if (said := held.sent[row["_origin"]].row) is not None:
            assert row["card_last_four"] == said["card_number"][-4:]
            tokens.setdefault(said["card_number"], set()).add(row["card_token"])
    assert all(len(each) == 1 for each in tokens.values())
    assert len({token for each in tokens.values() for token in each}) == len(tokens)
    # A row's place is a number of as many digits, and says nothing of a card.
    kept = "\n".join(
        str({**row, "_order": None})
        for row in [*held.bronze, *held.unreadable, *held.silver, *held.quarantine]
    )
    assert not [number for number in numbers if number in kept]
