"""Who is one customer, by small examples that are each a world of their own, and by many at random.

What is asked is the transform itself, change by change, as the step asks it; test_customers.py has it in the lake.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from data_platform.lake.schema import TIMESTAMP_TYPE, arrow_type
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES, carried_on
from data_platform.silver.identity_links import MOST_NUMBERS
from data_platform.silver.joined_step import _nothing
from data_platform.sources.clevertap import CLEVERTAP_PROFILES
from data_platform.sources.postgres import CUSTOMERS, PAYMENTS
from data_platform.sources.salesforce import CONTACTS, LEADS

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TABLES = {table.silver_name: table for table in CUSTOMER_IDENTITIES.inputs}
# A row of a table: what silver says of it. Of each example, the rows by the table and their key there.
Row = dict[str, Any]
Said = tuple[str, Row]
Example = list[Said]


def contact(key: str, email: str | None = None, name: str = "", at: int = 5, **more: Any) -> Said:
    return CONTACTS.silver_name, {
        "contact_id": key,
        "email": email,
        "full_name": name,
        "created_at": at,
    } | more


def lead(
    key: str, email: str | None = None, name: str = "", at: int = 1, becomes: str | None = None, **more: Any
) -> Said:
    row = {
        "lead_id": key,
        "email": email,
        "full_name": name,
        "created_at": at,
        "converted_contact_id": becomes,
    }
    return LEADS.silver_name, row | more


def in_shop(key: str, email: str | None = None, name: str = "", at: int = 9, **more: Any) -> Said:
    return CUSTOMERS.silver_name, {
        "customer_id": key,
        "email": email,
        "full_name": name,
        "created_at": at,
    } | more


def in_app(key: str, email: str | None = None, name: str = "", **more: Any) -> Said:
    return CLEVERTAP_PROFILES.silver_name, {"identity": key, "email": email, "full_name": name} | more


def pays(number: int, customer: str, **more: Any) -> Said:
    return PAYMENTS.silver_name, {"payment_id": number, "customer_id": customer} | more


GONE = {"is_deleted": True}
# Each: what is said at first, what is said then, and who belongs together in the end.
EXAMPLES: Mapping[str, tuple[Example, Example, str]] = {
    "a lead that became a contact": (
        [lead("L", "a@x.io")],
        [contact("C"), lead("L", "a@x.io", becomes="C")],
        "L C",
    ),
    "the contact's number in the shop and in the app": (
        [contact("C"), pays(1, "C")],
        [in_app("C"), in_shop("C")],
        "C shop/C app/C",
    ),
    "one email in capitals and with spaces": (
        [contact("C", "Ann@X.io")],
        [in_app("P", " ANN@x.IO ")],
        "C app/P",
    ),
    "links through others": (
        [contact("C", "a@x.io"), in_shop("C", "b@x.io")],
        [in_app("P", "b@x.io"), lead("L", "a@x.io"), in_app("Q", "b@x.io")],
        "L C shop/C app/P app/Q",
    ),
    "an email that changes to one's own": (
        [contact("C", "a@x.io"), lead("L", "b@x.io")],
        [contact("C", "b@x.io")],
        "L C",
    ),
    "an email that changes away": (
        [contact("C", "a@x.io"), lead("L", "a@x.io")],
        [contact("C", "b@x.io")],
        "L | C",
    ),
    "who held two together is deleted": (
        [contact("C", "a@x.io"), in_shop("C", "b@x.io"), in_app("P", "b@x.io"), lead("L", "a@x.io")],
        [in_shop("C", "b@x.io", **GONE)],
        "L C shop/C | app/P",
    ),
    "who held two together comes back": (
        [contact("C", "a@x.io"), lead("L", "a@x.io", **GONE)],
        [lead("L", "a@x.io")],
        "L C",
    ),
    "a contact that is deleted leaves what has its number": (
        [contact("C", "a@x.io"), pays(1, "C"), lead("L", "b@x.io", becomes="C"), in_app("P", "a@x.io")],
        [contact("C", "a@x.io", **GONE)],
        "L shop/C | app/P",
    ),
    "two contacts with one email": (
        [contact("C", "a@x.io"), in_app("P", "a@x.io")],
        [contact("D", "a@x.io")],
        "C | D | app/P",
    ),
    "one of two contacts with one email goes": (
        [contact("C", "a@x.io"), contact("D", "a@x.io"), in_app("P", "a@x.io")],
        [contact("D", "a@x.io", **GONE)],
        "C app/P",
    ),
    "two customers of the shop with one email": (
        [in_shop("1", "a@x.io")],
        [in_shop("2", "a@x.io")],
        "shop/1 | shop/2",
    ),
    "an office's mailbox": ([contact("C", "info@x.io", "Ann")], [lead("L", "info@x.io", "Ann")], "C | L"),
    "a family's mailbox": (
        [contact("C", "us@x.io", "Ann Lee")],
        [in_app("P", "us@x.io", "Bo Lee")],
        "C | app/P",
    ),
    "first names in full and in short": (
        [contact("C", "a@x.io", "Ann-Kathrin Lee")],
        [in_app("P", "a@x.io", "ann")],
        "C app/P",
    ),
    "a name that is mended": (
        [contact("C", "a@x.io", "Ann Lee"), in_app("P", "a@x.io", "Bo")],
        [contact("C", "a@x.io", "Bo Lee")],
        "C app/P",
    ),
    "an email that was made up": (
        [lead(f"L{number}", "no@no.io") for number in range(MOST_NUMBERS)],
        [lead(f"L{MOST_NUMBERS}", "no@no.io")],
        " | ".join(f"L{number}" for number in range(MOST_NUMBERS + 1)),
    ),
    "one fewer with a made up email": (
        [lead(f"L{number}", "no@no.io") for number in range(MOST_NUMBERS + 1)],
        [lead("L0", "yes@no.io")],
        "L0 | " + " ".join(f"L{number}" for number in range(1, MOST_NUMBERS + 1)),
    ),
    "an email that goes from one contact to another": (
        [contact("C", "a@x.io", "Ann"), in_shop("C", "a@x.io", "Ann"), contact("D", "d@x.io", "Bo")],
        [contact("C", "new@x.io", "Ann"), contact("D", "a@x.io", "Bo")],
        "C shop/C | D",
    ),
    "links that would make two contacts one person": (
        [contact("C", "c@x.io"), contact("D", "d@x.io"), in_shop("S", "c@x.io")],
        [in_app("S", "d@x.io")],
        "C | D | shop/S app/S",
    ),
    "links that no longer make two contacts one person": (
        [contact("C", "c@x.io"), contact("D", "d@x.io"), in_shop("S", "c@x.io"), in_app("S", "d@x.io")],
        [contact("D", "other@x.io")],
        "C shop/S app/S | D",
    ),
    "no address joins nobody": (
        [contact("C", "n/a")],
        [in_app("P", "n/a"), in_app("Q", None)],
        "C | app/P | app/Q",
    ),
    "a payment that is taken back leaves its number": (
        [pays(1, "W"), contact("C")],
        [pays(1, "W", **GONE)],
        "C | shop/W",
    ),
}
BARE = {"salesforce_contacts": "", "salesforce_leads": "", "shop": "shop/", "clevertap": "app/"}


class Followed:
    """Examples side by side, in ids and emails of their own; the identities as one change after another left them."""

    def __init__(self, spark: Any) -> None:
        self.spark = spark
        self.standing = self._frame(CUSTOMER_IDENTITIES, [])

    def _frame(self, table: Any, rows: list[Row]) -> DataFrame:
        if not rows:
            return _nothing(self.spark, table)
        kinds = {each.silver_name: arrow_type(each.type) for each in table.columns if each.silver_name}
        kinds |= {"is_deleted": pa.bool_(), "_landed_at": TIMESTAMP_TYPE}
        return self.spark.createDataFrame(pa.Table.from_pylist(rows, schema=pa.schema(kinds)))

    def change(self, said: Iterable[Said]) -> int:
        """What a step does with these rows; how many it wrote."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for table, row in said:
            rows[table].append({"is_deleted": False, "_landed_at": NOON} | row)
        changed = {name: self._frame(table, rows[name]) for name, table in TABLES.items()}
        keys, fresh = carried_on(changed, {}, self.standing)
        kept = self.standing.join(keys, list(CUSTOMER_IDENTITIES.key), "left_anti").select(fresh.columns)
        self.standing = kept.unionByName(fresh).coalesce(1).localCheckpoint()
        return fresh.count()

    def rows(self) -> list[Row]:
        return [row.asDict() for row in self.standing.collect()]


def of_world(world: str, said: Said) -> Said:
    """The same in ids and emails that nobody else has."""
    table, row = said
    ids = ("contact_id", "lead_id", "customer_id", "identity", "converted_contact_id")
    moved = {name: f"{world}:{row[name]}" for name in ids if row.get(name)}
    if row.get("email"):
        moved["email"] = row["email"].replace("@", f"@{world}.") if "@" in row["email"] else row["email"]
    if "payment_id" in row:
        moved["payment_id"] = crc32(f"{world}:{row['payment_id']}".encode())
    if "created_at" in row:
        moved["created_at"] = NOON + timedelta(minutes=row["created_at"])
    return table, row | moved


def groups(rows: Iterable[Row]) -> dict[str, set[frozenset[str]]]:
    """Of each world, which of its records belong together."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        world, key = row["source_id"].split(":")
        found[world][row["customer_id"]].add(BARE[row["system"]] + key)
    return {world: {frozenset(each) for each in customers.values()} for world, customers in found.items()}


def newest(said: Iterable[Said]) -> list[Said]:
    """The last word on each row."""
    last: dict[tuple[str, str], Said] = {}
    for table, row in said:
        last[table, str(next(iter(row.values())))] = (table, row)
    return list(last.values())


WORLDS = 150
NAMES = ("", "Ann Lee", "Bo Lee", "Ann")
EMAILS = (None, "a@x.io", "b@x.io", "c@x.io", "info@x.io")


def at_random(chance: random.Random) -> Said:
    """Some row, of few ids and emails, so that rows meet."""
    said = {
        "email": chance.choice(EMAILS),
        "name": chance.choice(NAMES),
        "is_deleted": chance.random() < 0.2,
    }
    match chance.randrange(5):
        case 0:
            return contact(chance.choice("CD"), **said)
        case 1:
            return lead(chance.choice("LM"), becomes=chance.choice((None, None, "C", "D")), **said)
        case 2:
            return in_shop(chance.choice("CS"), **said)
        case 3:
            return in_app(chance.choice("CSP"), **said)
        case _:
            return pays(chance.randrange(3), chance.choice("CSW"))


@dataclass(frozen=True)
class Told:
    """The identities after changes, after others in another order, and as made at once of all that is known then."""

    followed: list[Row]
    in_other_order: list[Row]
    at_once: list[Row]
    written_of_nothing: int


@pytest.fixture(scope="module")
def told(spark) -> Told:
    chance = random.Random(6)  # noqa: S311 - no secret
    first = [of_world(f"w{n}", said) for n, (first, _, _) in enumerate(EXAMPLES.values()) for said in first]
    then = [of_world(f"w{n}", said) for n, (_, then, _) in enumerate(EXAMPLES.values()) for said in then]
    for world in range(WORLDS):
        for part in (first, then):
            part += [of_world(f"r{world}", at_random(chance)) for _ in range(5)]
    followed, other, at_once = Followed(spark), Followed(spark), Followed(spark)
    followed.change(newest(first))
    followed.change(newest(then))
    known = newest(first + then)
    at_once.change(known)
    shuffled = chance.sample(known, len(known))
    half = len(known) // 2
    other.change(shuffled[:half])
    other.change(shuffled[half:])
    return Told(followed.rows(), other.rows(), at_once.rows(), followed.change([]))


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=list(EXAMPLES))
def test_a_change_puts_together_who_is_one_and_apart_who_is_not(told, number):
    expected = list(EXAMPLES.values())[number][2]
    assert groups(told.followed)[f"w{number}"] == {frozenset(each.split()) for each in expected.split(" | ")}


def test_why_a_record_belongs_is_said(told):
    why = {(row["system"], row["source_id"]): row["matched_by"] for row in told.followed}
    assert why["salesforce_leads", "w0:L"] == "itself"
    assert why["salesforce_contacts", "w0:C"] == "conversion"
    assert why["salesforce_contacts", "w1:C"] == "itself"
    assert {why["shop", "w1:C"], why["clevertap", "w1:C"]} == {"id"}
    assert why["clevertap", "w2:P"] == "email"


def test_a_customer_is_named_after_its_oldest_record_and_so_keeps_its_id_when_a_lead_becomes_a_contact(told):
    named = hashlib.sha256(b"salesforce_leads:w0:L").hexdigest()[:24]
    assert {row["customer_id"] for row in told.followed if row["source_id"].startswith("w0:")} == {
        f"cus_{named}"
    }


def test_without_a_change_nothing_is_written(told):
    assert told.written_of_nothing == 0


def test_changes_in_any_order_and_any_portions_end_where_one_build_of_all_ends(told):
    """Of two orders, one tells older versions too."""
    ended = by_record(told.at_once)
    assert len(ended) > 3 * WORLDS
    assert by_record(told.in_other_order) == ended
    followed = by_record(told.followed)
    assert {key: followed[key] for key in ended} == ended
    # A number that a payment named before it named another stays, and is nobody else's.
    assert {system for system, _ in followed.keys() - ended.keys()} <= {"shop"}


def by_record(rows: Iterable[Row]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(row["system"], row["source_id"]): (row["customer_id"], row["matched_by"]) for row in rows}
