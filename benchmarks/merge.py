"""Silver's MERGE of a change of 1% into 5,000,000 orders, against Spark's MERGE of the same rows by key alone.

All in one session, in turns, each on a copy of its table. The peer is measured twice: on a table as Spark writes it,
and on the very files that silver has. Two changes are made: of recent orders, some of them new, as changes are in life
(`ours`, `ratio`), and of orders spread evenly over all (`details.even`), which meets every file and gains little.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.result import Result
from benchmarks.turns import empty_folder
from data_platform.lake.merge import Merge, create, insert, merge, update
from data_platform.lake.spark import session
from data_platform.lake.tables import Lake, Note
from data_platform.lake.worked_out import Many
from data_platform.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = 5_000_000
SHARE = 100
ROUNDS = 3
KEY = ("order_id",)
COLUMNS = (
    *("order_id", "customer_id", "product_id", "quantity", "amount", "currency", "status", "order_date"),
    *("updated_at", "is_deleted", "_landed_at", "_batch"),
)
CLAUSES = (update(COLUMNS), insert(COLUMNS))
OURS, PLAIN, SAME_FILES = "ours", "plain MERGE", "plain MERGE, our files"


@dataclass(frozen=True)
class Bench:
    """The session, the tables as they were before any change, and where copies of them are changed."""

    spark: "SparkSession"
    folder: Path

    def fill(self) -> None:
        rows, table = orders(self.spark.range(ROWS), 1), Lake(str(self.folder)).silver(OURS)
        create(self.spark, table, rows, Note({"filled": 1}), (*KEY, "_batch"), order=KEY, count=ROWS)
        rows.write.format("delta").save(str(self.folder / "silver" / PLAIN))

    def change(self, kind: str, seed: int) -> "DataFrame":
        """One row in a hundred: of the newest orders and as many as come in meanwhile, or of all."""
        count = ROWS // SHARE
        if kind == "even":
            numbers = self.spark.range(ROWS).where(f"rand({seed}) < {1 / SHARE}")
        else:
            numbers = self.spark.range(ROWS - count, ROWS + count).where(f"rand({seed}) < 0.5")
        return orders(numbers, seed).localCheckpoint()

    def seconds(self, side: str, rows: "DataFrame") -> tuple[float, tuple[int, int]]:
        """How long the merge into a copy takes, and what that then holds."""
        held = self.folder / "silver" / (PLAIN if side == PLAIN else OURS)
        copy = self.folder / "copies" / "silver" / "orders"
        shutil.copytree(held, copy)
        count = rows.count()
        how: Callable[[], None] = (
            (lambda: self._ours(rows, count)) if side == OURS else (lambda: self._plain(copy, rows))
        )
        begun = time.perf_counter()
        how()
        took = time.perf_counter() - begun
        content = self._content(copy)
        shutil.rmtree(copy)
        return took, content

    def _ours(self, rows: "DataFrame", count: int) -> None:
        table = Lake(str(self.folder / "copies")).silver("orders")
        merge(self.spark, table, Many(rows), Merge(KEY, CLAUSES, KEY, count), Note({"changed": 1}))

    def _plain(self, copy: Path, rows: "DataFrame") -> None:
        rows.createOrReplaceTempView("changed")
        by_key = " and ".join(f"t.{name} = s.{name}" for name in KEY)
        self.spark.sql(
            f"merge into delta.`{copy}` t using changed s on {by_key} "
            "when matched then update set * when not matched then insert *"
        ).collect()

    def _content(self, table: Path) -> tuple[int, int]:
        """Rows, and the sum of a hash of each."""
        held = self.spark.read.format("delta").load(str(table))
        summed = held.selectExpr("count(*) as n", f"sum(xxhash64({', '.join(COLUMNS)})::decimal(38, 0)) as h")
        row = summed.collect()[0]
        return int(row["n"]), int(row["h"])


def orders(numbers: "DataFrame", version: int) -> "DataFrame":
    """An order for each number; those of one version say the same."""
    return numbers.selectExpr(
        "format_string('O-%010d', id) as order_id",
        "format_string('C-%07d', id * 7919 % 200000) as customer_id",
        "format_string('P-%05d', id * 31 % 20000) as product_id",
        "1 + id % 5 as quantity",
        f"cast((id * 7907 % 1000000 + {version}) / 100 as decimal(18, 2)) as amount",
        "element_at(array('EUR', 'USD', 'GBP'), int(1 + id % 3)) as currency",
        f"concat('status ', {version}) as status",
        "date_add(date'2024-01-01', int(id div 7000)) as order_date",
        f"timestamp_seconds(1704067200 + id * 12 + {version}) as updated_at",
        "false as is_deleted",
        f"timestamp_seconds(1800000000 + {version}) as _landed_at",
        f"cast({version} as bigint) as _batch",
    )


def measure() -> Result:
    took: dict[str, dict[str, list[float]]] = {}
    with empty_folder() as folder:
        bench = Bench(session(Settings(_env_file=None, data_platform_home=folder)), folder)
        try:
            bench.fill()
            for kind in ("recent", "even"):
                took[kind] = in_turns(bench, kind)
        finally:
            bench.spark.stop()
    seconds = {kind: {side: median(each) for side, each in sides.items()} for kind, sides in took.items()}
    ours = seconds["recent"].pop(OURS)
    evenly = seconds["even"].pop(OURS)
    return Result(
        name="merge",
        unit="s",
        ours=ours,
        peers=seconds["recent"],
        ratio=min(seconds["recent"].values()) / ours,
        rows=ROWS,
        details={
            "changed": ROWS // SHARE,
            "even": {
                "ours": evenly,
                "peers": seconds["even"],
                "ratio": min(seconds["even"].values()) / evenly,
            },
        },
    )


def in_turns(bench: Bench, kind: str) -> dict[str, list[float]]:
    """Every side once a round, the first round thrown away; all have to end with the same rows."""
    took: dict[str, list[float]] = {OURS: [], PLAIN: [], SAME_FILES: []}
    for number in range(ROUNDS + 1):
        rows = bench.change(kind, seed=number + 2)
        contents = set()
        for side, held in took.items():
            seconds, content = bench.seconds(side, rows)
            contents.add(content)
            print(
                f"  {f'round {number}' if number else 'warm-up'}, {kind}: {side} {seconds:.2f} s", flush=True
            )
            if number:
                held.append(seconds)
        if len(contents) != 1:
            raise AssertionError(f"the tables differ after a change of {kind} orders: {sorted(contents)}")
    return took
