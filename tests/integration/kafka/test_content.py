"""What lands of a topic: each message once, in its columns, or in quarantine with its reason."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_platform.connectors.kafka.registry import Registry
from data_platform.declarations import JSON, LIST, STRING, Column, Concealed, Mask, Messages, Personal, Stream
from tests.integration.kafka.conftest import COLUMNS, Avro, Topic, event, framed


def test_every_message_lands_once_with_what_it_says_beside_its_value(topic: Topic) -> None:
    sent = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for part in range(3):
        topic.send(
            [event(number, occurred_at="2026-05-01T10:00:00Z") for number in range(part, 90, 3)],
            partition=part,
            headers=[("trace", b"t1"), ("trace", b"\xff"), ("source", None)],
            timestamp=int(sent.timestamp() * 1000),
        )
    loaded = topic.load()
    assert loaded.receipt.says == "90 offered = 90 landed + 0 overlap + 0 quarantined"
    assert topic.landed() == sorted(f"e{number}" for number in range(90))
    row = next(row for row in topic.rows() if row["event_id"] == "e31")
    assert row["_origin"] == topic.origin(1, 10)
    assert (row["amount"], row["quantity"], row["is_gift"]) == (Decimal("31.50"), 31, None)
    assert row["occurred_at"] == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert (row["_op"], row["_message_key"], row["_sent_at"]) == ("upsert", "e31", sent)
    assert json.loads(row["_headers"]) == {"trace": ["t1", "\\xff"], "source": None}
    again = topic.load()
    assert (again.receipt.offered, again.batch) == (0, loaded.batch)


def test_what_comes_later_lands_after_it_and_nothing_else(topic: Topic) -> None:
    topic.send([event(1)])
    topic.load()
    topic.send([event(2)])
    assert topic.load().receipt.offered == 1
    assert topic.landed() == ["e1", "e2"]


def test_a_newer_version_of_a_key_comes_later_in_order_whichever_partition_it_is_in(topic: Topic) -> None:
    topic.send([event(number) for number in range(10)], partition=0, timestamp=1_770_000_000_000)
    topic.send([event(0, quantity=-1)], partition=2, timestamp=1_770_000_001_000)
    topic.load()
    # A producer's clock went back; what the partition holds later is later.
    topic.send([event(0, quantity=-2)], partition=2, timestamp=1_760_000_000_000)
    topic.load()
    versions = [row["quantity"] for row in topic.rows() if row["event_id"] == "e0"]
    assert versions == [0, -1, -2]


def test_avro_values_are_read_by_the_schema_that_wrote_each(topic: Topic) -> None:
    topic.declared(columns=(*COLUMNS, Column("tags", LIST(STRING)), Column("details", JSON)))
    first = topic.avro(
        record(
            ("event_id", "string"),
            ("amount", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
            ("quantity", "int"),
            ("occurred_at", {"type": "long", "logicalType": "timestamp-millis"}),
        )
    )
    moment = datetime(2026, 5, 1, 10, 0, 0, 123000, tzinfo=UTC)
    said = {"event_id": "e1", "amount": Decimal("12.30"), "quantity": 4, "occurred_at": moment}
    second = topic.avro(
        record(
            ("event_id", "string"),
            ("quantity", "string"),
            ("is_gift", ["null", "boolean"], None),
            ("tags", {"type": "array", "items": "string"}),
            ("details", {"type": "map", "values": "long"}),
            ("channel", ["null", "string"], None),
            ("seen_on", {"type": "int", "logicalType": "date"}),
        )
    )
    more = {"tags": ["a", "b"], "details": {"x": 1}, "seen_on": moment.date()}
    topic.send(
        [
            first.value(said),
            second.value({"event_id": "e2", "quantity": "7", "is_gift": True, "channel": "shop", **more}),
            second.value({"event_id": "e3", "quantity": "some", "is_gift": None, "channel": None, **more}),
        ]
    )
    loaded = topic.load()
    assert loaded.receipt.landed == 3
    one, two, three = topic.rows()
    assert (one["amount"], one["quantity"], one["occurred_at"]) == (Decimal("12.30"), 4, moment)
    assert (one["_rescued"], one["tags"]) == (None, None)
    assert (two["quantity"], two["is_gift"], two["tags"], two["details"]) == (
        None,
        True,
        ["a", "b"],
        '{"x":1}',
    )
    assert json.loads(two["_rescued"]) == {"channel": "shop", "quantity": "7", "seen_on": "2026-05-01"}
    assert json.loads(three["_rescued"]) == {"quantity": "some", "seen_on": "2026-05-01"}
    assert {drift.column for drift in loaded.drift} == {"channel", "quantity", "seen_on"}


def test_a_schema_may_refer_to_others_that_refer_to_one_again(topic: Topic) -> None:
    topic.declared(columns=(*COLUMNS, Column("paid", JSON), Column("owed", JSON)))
    money = record(("value", "long"), ("currency", "string")) | {"name": "Money", "namespace": "shop"}
    sums = {
        name: record(("sum", "shop.Money")) | {"name": name, "namespace": "shop"} for name in ("Paid", "Owed")
    }
    # Subjects are named by anything; one in a path of the registry's has to be quoted.
    subjects = {name: f"{topic.name}/shop {name}" for name in ("Money", *sums)}
    topic.server.registry.register(subjects["Money"], money)
    of_money = {"name": "shop.Money", "subject": subjects["Money"], "version": 1}
    for name, schema in sums.items():
        topic.server.registry.register(subjects[name], schema, [of_money])
    event = record(("event_id", "string"), ("paid", "shop.Paid"), ("owed", ["null", "shop.Owed"]))
    referring = [{"name": f"shop.{name}", "subject": subjects[name], "version": 1} for name in sums]
    number = topic.server.registry.register(f"{topic.name}-value", event, referring)
    avro = Avro(number, event, [money, *sums.values()])
    amount = {"sum": {"value": 5, "currency": "EUR"}}
    topic.send([avro.value({"event_id": "e1", "paid": amount, "owed": None})])
    topic.send([avro.value({"event_id": "e2", "paid": amount, "owed": amount})])
    topic.load()
    assert topic.quarantined() == {}
    held = {
        row["event_id"]: [row[side] and json.loads(row[side]) for side in ("paid", "owed")]
        for row in topic.rows()
    }
    assert held == {"e1": [amount, None], "e2": [amount, amount]}


def test_a_key_is_text_or_what_its_schema_makes_of_it(topic: Topic) -> None:
    plain = topic.avro("string", "key")
    keyed = topic.avro(record(("event_id", "string"), ("shop", "int")), "key")
    counted = (2**40 + 7).to_bytes(8, "big")
    keys = [
        "e1",
        plain.value("e2"),
        keyed.value({"event_id": "e3", "shop": 4}),
        # Follows its schema, and goes on; names one that nobody knows; names none.
        plain.value("e4") + b"!",
        framed(2**31 - 1, b"\x04e5"),
        counted,
        b"\x00\x01",
        None,
    ]
    for number, key in enumerate(keys):
        topic.send([event(number)], key=key)
    topic.load()
    told = [row["_message_key"] for row in topic.rows()]
    assert told == [
        "e1",
        "e2",
        '{"event_id":"e3","shop":4}',
        *("\\x" + key.hex() for key in keys[3:7]),
        None,
    ]


@pytest.mark.parametrize("kind", ["text", "json", "json text", "avro text", "avro record", "json schema"])
def test_a_message_without_a_value_deletes_by_a_key_of_any_kind(topic: Topic, kind: str) -> None:
    keyed = {"event_id": "e1", "shop": 4}
    key = {
        "text": lambda: b"e1",
        "json": lambda: json.dumps(keyed).encode(),
        "json text": lambda: b'"e1"',
        "avro text": lambda: topic.avro("string", "key").value("e1"),
        "avro record": lambda: topic.avro(record(("event_id", "string"), ("shop", "int")), "key").value(
            keyed
        ),
        "json schema": lambda: framed(json_schema(topic, "key"), json.dumps(keyed).encode()),
    }[kind]()
    topic.send([event(1)])
    topic.send([None], key=key)
    topic.load()
    assert [(row["event_id"], row["_op"]) for row in topic.rows()] == [("e1", "upsert"), ("e1", "delete")]
    assert topic.quarantined() == {}


def test_a_key_that_only_looks_like_one_with_a_schema_is_bytes(topic: Topic) -> None:
    broken = framed(json_schema(topic, "key"), b'{"event_id": "\xff"}')
    topic.send([event(1)], key=broken)
    topic.send([None], key=broken)
    topic.load()
    assert [row["_message_key"] for row in topic.rows()] == ["\\x" + broken.hex()]
    assert [row["_reason"] for row in topic.quarantined().values()] == [
        "it has no value, and its key is no event_id"
    ]


def test_keys_that_are_numbers_ask_the_registry_a_few_times_and_no_more(topic: Topic, monkeypatch) -> None:
    asked: list[int] = []
    ask = Registry.schema
    monkeypatch.setattr(Registry, "schema", lambda self, number: asked.append(number) or ask(self, number))
    keys = [(number * 2**24 + 2**52).to_bytes(8, "big") for number in range(200)]
    producer = topic.producer()
    for number, key in enumerate(keys):
        producer.produce(topic.name, json.dumps(event(number)).encode(), key, 0)
    assert producer.flush(30) == 0
    topic.load()
    assert [row["_message_key"] for row in topic.rows()] == ["\\x" + key.hex() for key in keys]
    assert 0 < len(asked) < 20


def test_a_key_that_lacks_the_column_deletes_nothing(topic: Topic) -> None:
    other = topic.avro(record(("shop", "int")), "key").value({"shop": 4})
    for key in (b'{"shop": 4}', other, b"\xff\xfe"):
        topic.send([None], key=key)
    topic.load()
    assert [(row["_reason"], row["_body"]) for row in topic.quarantined().values()] == [
        ("it has no value, and its key is no event_id", key) for key in (b'{"shop": 4}', other, b"\xff\xfe")
    ]


def json_schema(topic: Topic, of: str) -> int:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    return topic.server.registry.register(f"{topic.name}-{of}", schema, kind="JSON")


def test_json_that_names_a_schema_is_json(topic: Topic) -> None:
    topic.send([framed(json_schema(topic, "value"), json.dumps(event(1)).encode()), event(2)])
    topic.load()
    assert topic.landed() == ["e1", "e2"]


def test_what_can_not_be_read_is_kept_with_its_reason_and_the_rest_goes_on(topic: Topic) -> None:
    avro = topic.avro(record(("event_id", "string"), ("quantity", "long")))
    whole = avro.value({"event_id": "e9", "quantity": 1})
    poison = [
        (b'{"event_id": "e1"', "it is no JSON"),
        # Two halves that make one whole page, were they not looked at one by one.
        (b'{"event_id": ["e2"', "it is no JSON"),
        (b'"e3"], "event_id": "e3"}', "it is no JSON"),
        (b'{"event_id": "\xff"}', "its text is not UTF-8"),
        (b'["e4"]', "it is JSON, and no object"),
        (b"", "it is no JSON"),
        (b"[" * 20_000, "it is no JSON"),
        (b"\0\0", "it ends before the id of its schema"),
        (framed(4_000_000, b"x"), "the registry knows no schema 4000000"),
        (whole[:-1], "it does not follow its schema (EOFError)"),
        (whole + b"x", "it goes on behind what its schema describes"),
    ]
    bodies = [body for body, _ in poison]
    topic.send([event(100), *bodies, whole, event(101)])
    loaded = topic.load()
    assert (
        loaded.receipt.says == f"{len(poison) + 3} offered = 3 landed + 0 overlap + {len(poison)} quarantined"
    )
    assert topic.landed() == ["e100", "e101", "e9"]
    kept = topic.quarantined()
    for offset, (body, reason) in enumerate(poison, start=1):
        assert (kept[topic.origin(0, offset)]["_body"], kept[topic.origin(0, offset)]["_reason"]) == (
            body,
            reason,
        )


def test_a_message_without_a_value_deletes_the_row_of_its_key(topic: Topic) -> None:
    topic.send([event(1)])
    topic.send([None], key="e1")
    topic.send([None], key=None)
    topic.load()
    upsert, delete = topic.rows()
    assert (delete["event_id"], delete["_op"], delete["quantity"]) == ("e1", "delete", None)
    assert delete["_order"] > upsert["_order"]
    assert [row["_reason"] for row in topic.quarantined().values()] == [
        "it has no value, and its key is no event_id"
    ]


def test_where_a_key_is_no_column_a_message_without_a_value_is_kept_apart(topic: Topic) -> None:
    topic.declared(load=Stream("offset", Messages()))
    topic.send([event(1), None], key="someone")
    topic.load()
    assert topic.landed() == ["e1"]
    (kept,) = topic.quarantined().values()
    assert kept["_reason"].startswith("it has no value, and its key is no column")
    assert kept["_body"] == b"someone"


def test_a_value_of_another_type_and_a_new_field_are_rescued(topic: Topic) -> None:
    topic.send([event(1, quantity="many", colour="red"), event(2)])
    loaded = topic.load()
    one, two = topic.rows()
    assert (one["quantity"], json.loads(one["_rescued"])) == (None, {"colour": "red", "quantity": "many"})
    assert (two["quantity"], two["_rescued"]) == (2, None)
    assert {(drift.column, drift.kind) for drift in loaded.drift} >= {("colour", "new"), ("quantity", "type")}


def test_marks_of_transactions_and_what_was_aborted_are_counted_apart(topic: Topic) -> None:
    producer = topic.producer(**{"transactional.id": topic.name})
    producer.init_transactions(30)
    for number, commits in enumerate((True, False, True)):
        producer.begin_transaction()
        for place in range(4):
            value = event(number * 10 + place)
            producer.produce(topic.name, json.dumps(value), key=value["event_id"], partition=place % 2)
        # Or an abort would take back what no broker has seen.
        producer.flush()
        producer.commit_transaction(30) if commits else producer.abort_transaction(30)
    loaded = topic.load()
    assert topic.landed() == sorted(f"e{number}" for number in (0, 1, 2, 3, 20, 21, 22, 23))
    # Three marks in each of two partitions, and four messages that nobody was to see.
    assert loaded.receipt.says == "18 offered = 8 landed + 0 overlap + 0 quarantined + 10 empty"
    assert list(loaded.gaps) == []


def test_what_an_open_transaction_holds_back_lands_once_it_is_closed(topic: Topic) -> None:
    producer = topic.producer(**{"transactional.id": topic.name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic.name, json.dumps(event(1)), key="e1", partition=0)
    producer.flush()
    topic.send([event(2)])
    topic.send([event(3)], partition=1)
    topic.load()
    assert topic.landed() == ["e3"]
    producer.commit_transaction(30)
    topic.load()
    assert topic.landed() == ["e1", "e2", "e3"]


def test_a_large_message_passes(topic: Topic) -> None:
    topic = Topic(topic.server, topic.lake, 1, max_message_bytes="10485760")
    large = json.dumps(event(1, note="x" * 5_000_000)).encode()
    producer = topic.producer(**{"message.max.bytes": 10_000_000})
    producer.produce(topic.name, large, key="e1")
    producer.flush()
    topic.send([event(2)])
    topic.load()
    one, two = topic.rows()
    assert (len(json.loads(one["_rescued"])["note"]), two["event_id"]) == (5_000_000, "e2")


def test_a_number_that_must_not_be_stored_is_nowhere_in_the_lake(topic: Topic) -> None:
    said = {"personal": Personal.CARD}
    topic.declared(
        columns=(
            *COLUMNS,
            Column("card_token", STRING, **said, lands=Concealed("card_number", Mask.TOKEN)),
            Column("card_last_four", STRING, **said, lands=Concealed("card_number", Mask.LAST_FOUR)),
        )
    )
    number = 4929123412341234
    avro = topic.avro(record(("event_id", "string"), ("card_number", "string")))
    topic.send(
        [
            event(1, card_number=str(number)),
            event(2, card_number="4929 1234 1234 1234"),
            event(3, card_number=number),
            event(4, pan=number, card_number=None),
            avro.value({"event_id": "e5", "card_number": str(number)}),
            avro.value({"event_id": "e6", "card_number": str(number)})[:-1],
            b'{"card_number": "4929123412341234"',
        ],
        headers=[("card", str(number).encode())],
    )
    topic.load(token_key="a key")
    rows = {row["event_id"]: row for row in topic.rows()}
    tokens = {rows[key]["card_token"] for key in ("e1", "e2", "e3", "e5")}
    assert len(tokens) == 1
    assert len(tokens.pop()) == 32
    assert {rows[key]["card_last_four"] for key in ("e1", "e2", "e3", "e5")} == {"1234"}
    assert (rows["e4"]["card_token"], json.loads(rows["e4"]["_rescued"])) == (
        None,
        {"pan": "************1234"},
    )
    assert len(topic.quarantined()) == 2
    for file in Path(topic.lake.uri).rglob("*"):
        if file.is_file():
            held = (
                str(pq.read_table(file, partitioning=None).to_pylist()) if file.suffix == ".parquet" else ""
            )
            assert "49291234" not in held.replace(" ", "")
            assert b"49291234" not in file.read_bytes()


def record(*fields: tuple) -> dict:
    return {
        "type": "record",
        "name": "Event",
        "fields": [dict(zip(("name", "type", "default"), field, strict=False)) for field in fields],
    }
