"""A load lands what a source offers once, however often it is cut off, and its receipt accounts for every row."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_platform.bronze.load import OBJECTS_BETWEEN_LOOKS, Loaded, load
from data_platform.connectors.base import Batch, Drift, Offer, Part, QuotaReached, ReadAgain, Rejected
from data_platform.declarations import (
    DAILY,
    DECIMAL,
    STRING,
    TIMESTAMP,
    Column,
    Incremental,
    SourceTable,
    years,
)
from data_platform.lake.append import Appender
from data_platform.lake.errors import CommitLost, PositionMissing
from data_platform.lake.schema import connector_schema

START = datetime(2026, 6, 1, tzinfo=UTC)
OVERLAP = timedelta(seconds=3)
ORDERS = SourceTable(
    system="shop",
    name="orders",
    reads="Order",
    key=("Id",),
    load=Incremental(cursor="ChangedAt", overlap=OVERLAP),
    every=DAILY,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        Column("Id", STRING, required=True),
        Column("Amount", DECIMAL(18, 2)),
        Column("ChangedAt", TIMESTAMP, required=True),
    ),
    description="What customers ordered.",
)


class Killed(BaseException):
    """As sudden as a signal: nothing catches it."""


@dataclass
class Row:
    second: int
    key: str
    op: str = "upsert"
    rescued: str | None = None


@dataclass
class Shop:
    """A source that is read in order, a page at a time, from a little before the position on."""

    rows: list[Row]
    page: int = 2
    # A pseudo-count, where it differs from what the read gives.
    counted: int | None = None
    recounted: int | None = None
    rejected: dict[int, Sequence[Rejected]] = field(default_factory=dict)
    renew: bool = False
    drift: Sequence[Drift] = ()
    before_page: Callable[[int], None] = lambda number: None
    without_positions: bool = False
    pages_read: int = 0
    offers: int = 0

    def offer(self, table: SourceTable, landed) -> Offer:
        self.offers += 1
        rows = sorted(self.rows, key=lambda row: (row.second, row.key))
        reached = landed.position["second"] if landed.position else None
        start = None if reached is None else START + timedelta(seconds=reached) - OVERLAP
        found = [row for row in rows if start is None or at(row) >= start]
        end = {"second": rows[-1].second if rows else 0}
        parts = [self._part(found, start)] if found or self.rejected else []
        return Offer(iter(parts), end, self.drift, self.renew, ["a note"])

    def _part(self, found: list[Row], start: datetime | None) -> Part:
        rejected = sum(map(len, self.rejected.values()))
        counted = len(found) + rejected if self.counted is None else self.counted
        return Part(
            self._pages(found),
            counted,
            ("Id", "ChangedAt", "_op"),
            since=start,
            may_repeat=start is not None,
            recount=None if self.recounted is None else lambda: self.recounted,
        )

    def _pages(self, found: list[Row]) -> Iterator[Batch]:
        pages = [found[place : place + self.page] for place in range(0, len(found), self.page)] or [[]]
        for number, page in enumerate(pages):
            self.before_page(number)
            self.pages_read += 1
            position = {"second": page[-1].second} if page and not self.without_positions else None
            yield Batch(bronze_rows(page), position, self.rejected.get(number, ()))


def at(row: Row) -> datetime:
    return START + timedelta(seconds=row.second)


def bronze_rows(rows: Sequence[Row]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "Id": row.key,
                "Amount": None,
                "ChangedAt": at(row),
                "_op": row.op,
                "_origin": "Order",
                "_rescued": row.rescued,
            }
            for row in rows
        ],
        schema=connector_schema(ORDERS),
    )


def numbered(first: int, last: int) -> list[Row]:
    return [Row(number, f"o{number:02}") for number in range(first, last + 1)]


def held(lake) -> list[tuple[str, int]]:
    """Every landed row, as its key and second, in the order of landing."""
    rows = lake.bronze(ORDERS).query('select "Id", "ChangedAt", _batch from held').to_pylist()
    rows.sort(key=lambda row: (row["_batch"], row["ChangedAt"], row["Id"]))
    return [(row["Id"], round((row["ChangedAt"] - START).total_seconds())) for row in rows]


def quarantined(lake) -> list[str]:
    table = lake.quarantine(ORDERS)
    return (
        sorted(table.query("select _origin from held").column("_origin").to_pylist()) if table.exists else []
    )


def landed(shop: Shop, lake, commit_rows: int = 1_000) -> Loaded:
    return load(ORDERS, shop, lake, commit_rows)


def pairs(rows: Sequence[Row]) -> list[tuple[str, int]]:
    return [(row.key, row.second) for row in rows]


def test_a_first_load_lands_every_row_with_its_position_and_receipt(lake):
    shop = Shop(numbered(1, 5), drift=[Drift("Colour", "new", "nothing", "string")])
    loaded = landed(shop, lake)
    assert held(lake) == pairs(shop.rows)
    assert (loaded.batch, loaded.rows, dict(loaded.position)) == (1, 5, {"second": 5})
    assert loaded.receipt.says == "5 offered = 5 landed + 0 overlap + 0 quarantined"
    assert loaded.receipt == lake.bronze(ORDERS).receipt
    assert loaded.receipt.complete
    assert loaded.notes == ["a note"]
    assert loaded.drift[0].says.startswith("Colour (string) is not declared")


def test_what_a_load_frees_in_one_thread_is_there_for_the_others(lake):
    if "jemalloc" not in pa.supported_memory_backends():
        pytest.skip("Arrow was built without jemalloc here")
    before = pa.default_memory_pool()
    try:
        pa.set_memory_pool(pa.system_memory_pool())
        landed(Shop(numbered(1, 5)), lake)
        assert pa.default_memory_pool().backend_name == "jemalloc"
    finally:
        pa.set_memory_pool(before)


def test_only_while_it_reads_a_load_has_python_look_for_cycles_rarely(lake):
    usual, inside = gc.get_threshold(), []

    def look(number: int) -> None:
        inside.append(gc.get_threshold())
        if number == 1:
            raise Killed

    with pytest.raises(Killed):
        landed(Shop(numbered(1, 5), before_page=look), lake)
    assert [first for first, *_ in inside] == [OBJECTS_BETWEEN_LOOKS] * 2
    assert gc.get_threshold() == usual


def test_rows_that_landed_before_are_left_out_of_the_overlap(lake):
    shop = Shop(numbered(1, 5))
    landed(shop, lake)
    shop.rows += [Row(4, "late"), Row(3, "o03", op="delete"), *numbered(6, 7)]
    loaded = landed(shop, lake)
    assert held(lake)[5:] == [("o03", 3), ("late", 4), ("o06", 6), ("o07", 7)]
    assert loaded.receipt.says == "8 offered = 4 landed + 4 overlap + 0 quarantined"


def test_a_quiet_load_leaves_no_commit_and_no_file(lake):
    shop = Shop(numbered(1, 5))
    landed(shop, lake)
    before = lake.bronze(ORDERS)
    files = before.delta.file_uris()
    loaded = landed(shop, lake)
    after = lake.bronze(ORDERS)
    assert (after.version, after.batch, after.delta.file_uris()) == (before.version, 1, files)
    assert (loaded.batch, loaded.receipt.landed, loaded.receipt.overlap) == (1, 0, 4)
    assert loaded.receipt.adds_up


def test_an_empty_source_is_landed_as_an_empty_table(lake):
    loaded = landed(Shop([]), lake)
    assert (loaded.rows, loaded.batch, loaded.position, loaded.receipt.adds_up) == (0, 0, None, True)


def test_a_position_is_renewed_without_rows_where_the_source_asks_for_it(lake):
    shop = Shop(numbered(1, 5))
    landed(shop, lake)
    loaded = landed(replace(shop, renew=True), lake)
    assert (loaded.batch, loaded.rows, loaded.receipt.landed) == (2, 5, 0)
    assert dict(lake.bronze(ORDERS).position) == {"second": 5}


def test_a_load_commits_every_so_many_rows_with_the_position_of_those(lake):
    shop = Shop(numbered(1, 9))
    assert landed(shop, lake, commit_rows=4).batch == 3
    notes = [commit for commit in lake.bronze(ORDERS).delta.history() if "userMetadata" in commit]
    said = [lake.bronze(ORDERS).note.from_commit(commit) for commit in reversed(notes)]
    assert [dict(note.position)["second"] for note in said] == [4, 8, 9]
    assert [note.receipt["complete"] for note in said] == [False, False, True]
    rows = lake.bronze(ORDERS).query('select "Id", _batch from held').to_pylist()
    batches = {row["Id"]: row["_batch"] for row in rows}
    assert [batches[key] for key, _ in pairs(shop.rows)] == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_a_source_without_positions_inside_a_read_is_landed_in_one_commit(lake):
    shop = Shop(numbered(1, 9), without_positions=True)
    assert landed(shop, lake, commit_rows=2).batch == 1
    assert held(lake) == pairs(shop.rows)


@pytest.mark.parametrize("page", range(5))
def test_a_load_that_is_killed_goes_on_without_loss_or_doubling(lake, page):
    shop = Shop(numbered(1, 9))

    def kill(number: int) -> None:
        if number == page:
            raise Killed

    with pytest.raises(Killed):
        landed(replace(shop, before_page=kill), lake, commit_rows=2)
    assert held(lake) == pairs(shop.rows)[: max(0, 2 * (page - 1))]
    again = landed(shop, lake, commit_rows=2)
    assert sorted(held(lake)) == pairs(shop.rows)
    assert again.receipt.adds_up
    assert len(list(lake.bronze(ORDERS).delta.file_uris())) == len(list(_data_files(lake)))


def _data_files(lake):
    return Path(lake.bronze(ORDERS).uri).glob("*.parquet")


def test_batches_only_grow_and_each_row_says_its_own(lake):
    shop = Shop(numbered(1, 3))
    batches = []
    for number in range(4, 7):
        batches.append(landed(shop, lake).batch)
        shop.rows.append(Row(number, f"o{number:02}"))
    assert batches == [1, 2, 3]
    rows = lake.bronze(ORDERS).query('select "Id", _batch from held order by "Id"').to_pylist()
    assert [row["_batch"] for row in rows] == [1, 1, 1, 2, 3]


@pytest.mark.parametrize(("counted", "recounted"), [(7, 5), (3, 5), (9, 4)])
def test_rows_that_moved_between_count_and_read_are_told_as_moved(lake, counted, recounted):
    loaded = landed(Shop(numbered(1, 5), counted=counted, recounted=recounted), lake)
    assert loaded.receipt.moved == counted - 5
    assert loaded.receipt.adds_up


@pytest.mark.parametrize(("counted", "recounted"), [(7, 7), (4, 3), (6, None)])
def test_a_read_that_no_count_explains_does_not_add_up(lake, counted, recounted):
    loaded = landed(Shop(numbered(1, 5), counted=counted, recounted=recounted), lake)
    assert not loaded.receipt.adds_up
    assert loaded.receipt.says.startswith(f"{counted} offered ≠ 5 landed")


def test_what_is_gone_while_it_is_read_is_read_again_from_the_position(lake):
    shop = Shop(numbered(1, 9))
    failures = iter([ReadAgain("the result expired"), ReadAgain("the result expired")])

    def expire(number: int) -> None:
        if number == 3 and (failure := next(failures, None)):
            raise failure

    loaded = landed(replace(shop, before_page=expire), lake, commit_rows=2)
    assert held(lake) == pairs(shop.rows)
    assert loaded.receipt.adds_up


def test_reading_again_ends_after_a_few_times_with_the_sources_own_words(lake):
    def expire(number: int) -> None:
        raise ReadAgain("the job failed: InternalServerError")

    shop = Shop(numbered(1, 3), before_page=expire)
    with pytest.raises(ReadAgain, match="the job failed: InternalServerError"):
        landed(shop, lake)
    assert shop.offers == 4
    assert held(lake) == []


def test_an_error_of_the_source_leaves_what_was_committed_and_is_not_tried_again(lake):
    def refuse(number: int) -> None:
        if number == 3:
            raise QuotaReached("the quota is spent")

    shop = Shop(numbered(1, 9), before_page=refuse)
    with pytest.raises(QuotaReached):
        landed(shop, lake, commit_rows=2)
    assert (shop.offers, held(lake)) == (1, pairs(shop.rows)[:4])
    assert dict(lake.bronze(ORDERS).position) == {"second": 4}


def test_of_two_loads_at_once_one_reads_again_and_no_row_is_doubled(lake):
    shop = Shop(numbered(1, 9))
    others = iter([shop])

    def other_run(number: int) -> None:
        if number == 2 and (other := next(others, None)):
            landed(other, lake)

    loaded = landed(replace(shop, before_page=other_run), lake)
    assert sorted(held(lake)) == pairs(shop.rows)
    assert (loaded.batch, loaded.receipt.landed) == (1, 0)


def test_two_loads_that_never_agree_end_with_a_clear_message(lake, monkeypatch):
    def lose(self, note):
        raise CommitLost("another run wrote to bronze/shop/orders")

    monkeypatch.setattr(Appender, "commit", lose)
    shop = Shop(numbered(1, 3))
    with pytest.raises(CommitLost, match="another run wrote to bronze/shop/orders"):
        landed(shop, lake)
    assert shop.offers == 4


POISON = Rejected("order 7 of feed 3", "it is no JSON", b"{\xff")


def test_a_record_that_cannot_be_decoded_is_quarantined_with_its_bytes_and_reason(lake):
    shop = Shop(numbered(1, 3), rejected={1: [POISON]})
    loaded = landed(shop, lake)
    (row,) = lake.quarantine(ORDERS).query("select * from held").to_pylist()
    assert (row["_origin"], row["_reason"], row["_body"], row["_batch"]) == (*_said(POISON), 1)
    assert loaded.receipt.says == "4 offered = 3 landed + 0 overlap + 1 quarantined"
    assert dict(lake.quarantine(ORDERS).position) == {"second": 3}


def _said(rejected: Rejected) -> tuple[str, str, bytes]:
    return rejected.origin, rejected.reason, rejected.body


def test_a_load_of_nothing_but_poison_is_a_commit_all_the_same(lake):
    shop = Shop([], rejected={0: [POISON]})
    loaded = landed(shop, lake)
    assert (loaded.batch, loaded.rows, quarantined(lake)) == (1, 0, [POISON.origin])
    assert loaded.receipt.adds_up


@pytest.mark.parametrize("commit_rows", [2, 1_000], ids=["smaller commits", "the same commits"])
def test_poison_is_quarantined_once_even_when_killed_between_the_two_commits(lake, monkeypatch, commit_rows):
    feed = {1: [POISON], 3: [replace(POISON, origin="order 9 of feed 3")]}
    shop = Shop(numbered(1, 9), rejected=feed)
    commit = Appender.commit

    def kill_at_bronze(self, note):
        if "/bronze/" in self.table.uri:
            raise Killed
        return commit(self, note)

    monkeypatch.setattr(Appender, "commit", kill_at_bronze)
    with pytest.raises(Killed):
        landed(shop, lake)
    assert (quarantined(lake), lake.bronze(ORDERS).rows) == (["order 7 of feed 3", "order 9 of feed 3"], 0)
    monkeypatch.setattr(Appender, "commit", commit)
    loaded = landed(shop, lake, commit_rows)
    assert quarantined(lake) == ["order 7 of feed 3", "order 9 of feed 3"]
    assert held(lake) == pairs(shop.rows)
    assert (loaded.receipt.quarantined, loaded.receipt.adds_up) == (2, True)


def test_poison_that_an_overlap_shows_again_is_counted_as_overlap(lake):
    shop = Shop(numbered(1, 3), rejected={0: [POISON]})
    landed(shop, lake)
    shop.rows += numbered(4, 5)
    loaded = landed(shop, lake)
    assert quarantined(lake) == [POISON.origin]
    assert loaded.receipt.says == "6 offered = 2 landed + 4 overlap + 0 quarantined"


def test_rescued_values_are_counted_among_the_rows_that_land(lake):
    shop = Shop(
        [Row(1, "a", rescued='{"Colour":"red"}'), Row(2, "b"), Row(3, "c", rescued='{"Amount":"many"}')]
    )
    assert landed(shop, lake).receipt.rescued == 2
    assert landed(shop, lake).receipt.rescued == 0


@dataclass
class Parts:
    """A source that answers in several parts."""

    parts: list[Part]

    def offer(self, table, landed) -> Offer:
        return Offer(iter(self.parts), {"second": 9})


def part(rows: Sequence[Row], offered: int | None, **said) -> Part:
    return Part(iter([Batch(bronze_rows(rows))]), offered, ("Id", "ChangedAt", "_op"), **said)


def test_the_receipt_is_the_sum_of_its_parts(lake):
    landed(Shop(numbered(1, 3)), lake)
    source = Parts([part(numbered(2, 5), 4, since=START), part([Row(6, "o01", op="delete")], 1)])
    loaded = load(ORDERS, source, lake, 1_000)
    assert loaded.receipt.says == "5 offered = 3 landed + 2 overlap + 0 quarantined"
    assert loaded.batch == 2


@pytest.mark.parametrize("order", [(None, 1), (1, None)])
def test_one_part_without_a_count_leaves_the_whole_uncounted(lake, order):
    first, second = order
    source = Parts(
        [part([Row(1, "a")], first, may_repeat=False), part([Row(2, "b")], second, may_repeat=False)]
    )
    assert load(ORDERS, source, lake, 1_000).receipt.says == (
        "uncounted offered = 2 landed + 0 overlap + 0 quarantined"
    )


def test_columns_that_a_declaration_gained_land_with_the_next_load(lake):
    landed(Shop(numbered(1, 2)), lake)
    wider = replace(ORDERS, columns=(*ORDERS.columns, Column("Colour", STRING)))
    rows = pa.RecordBatch.from_pylist(
        [{"Id": "new", "ChangedAt": START, "Colour": "red", "_op": "upsert"}], schema=connector_schema(wider)
    )
    source = Parts([Part(iter([Batch(rows)]), 1, ("Id",), may_repeat=False)])
    load(wider, source, lake, 1_000)
    colours = lake.bronze(ORDERS).query('select "Id", "Colour" from held order by "Id"').to_pylist()
    assert [(row["Id"], row["Colour"]) for row in colours] == [("new", "red"), ("o01", None), ("o02", None)]


def test_a_load_without_a_position_in_the_log_never_starts_over(lake):
    table = lake.bronze(ORDERS)
    write_deltalake(table.uri, pa.Table.from_batches([bronze_rows(numbered(1, 2))]))
    shop = Shop(numbered(1, 9))
    with pytest.raises(PositionMissing, match="data-platform position set"):
        landed(shop, lake)
    assert (shop.offers, lake.bronze(ORDERS).rows) == (0, 2)
