"""The step that brings a silver table made of several others up to these.

It takes the keys that a change on any side touches, makes their rows anew, and merges these; keys that no longer
come out are marked deleted. The position is the batch of each input, in the merge's commit.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import SourceTable
from data_platform.lake.again import begun_again
from data_platform.lake.errors import CommitLost, LakeError
from data_platform.lake.merge import FEW, Clause, Merge, create, insert, merge, update
from data_platform.lake.reading import Wanted, read, wanted_of
from data_platform.lake.spark import made_for
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.lake.worked_out import Few, Many, WorkedOut, worked_out
from data_platform.silver.before import NotKept, rows_before
from data_platform.silver.conformed import spark_type
from data_platform.silver.joined import Inputs, Joined
from data_platform.silver.step import Refined, reached

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)


class _WhenAsked(Mapping[str, DataFrame]):
    """Tables that are opened when somebody first asks for them, which takes a while for each."""

    def __init__(self, openings: Mapping[str, Callable[[], DataFrame]]) -> None:
        self._openings = {name: cache(opening) for name, opening in openings.items()}

    def __getitem__(self, name: str) -> DataFrame:
        return self._openings[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._openings)

    def __len__(self) -> int:
        return len(self._openings)


def join(spark: "Callable[[], SparkSession]", table: Joined, lake: Lake) -> Refined:
    """Bring the table up to its inputs. Killed anywhere, it goes on from its own position when run again."""
    return begun_again(lambda: _join(spark, table, lake), (CommitLost,), f"silver/{table.name}")


def _join(start: "Callable[[], SparkSession]", table: Joined, lake: Lake) -> Refined:
    silver = lake.silver(table.name)
    held = {source.silver_name: lake.silver(source.silver_name) for source in table.inputs}
    changed = [name for name, each in held.items() if each.batch != reached(silver, each)]
    if not changed:
        if not silver.exists:
            raise LakeError(
                f"silver/{table.name} has nothing to be made of yet; materialize one of its inputs first: "
                + ", ".join(f"silver/{name}" for name in held)
            )
        return Refined(silver.batch, silver.rows)
    spark = start()
    position = {each.name: each.batch for each in held.values()}
    with made_for(spark, silver.rows + sum(each.rows for each in held.values())):
        if not silver.exists:
            return _first(spark, table, silver, held, position)
        anew = _anew(spark, table, silver, held, changed)
        rows = _worked_out(spark, table, silver, anew).of_batch(silver.batch + 1)
        counts = _counts(rows)
        how = Merge(table.key, _clauses(table), table.plain_key, counts["keys"])
        merge(spark, silver, rows, how, Note(position, counts))
    return _refined(silver, counts)


@dataclass(frozen=True)
class _Anew:
    """The keys that may come out differently, the rows that come out of them, and what to look for to find them."""

    keys: WorkedOut
    made: DataFrame
    wanted: Wanted = field(default_factory=dict)


def _worked_out(spark: "SparkSession", table: Joined, silver: LakeTable, anew: _Anew) -> WorkedOut:
    """What is merged: the rows that come out, and the keys of those that are there and do not come out any more."""
    fresh = _shaped(table, anew.made).withColumn("is_deleted", F.lit(False))
    if isinstance(anew.keys, Few):
        return _with_those_gone(spark, table, silver, anew.keys, Few.of(fresh))
    gone = _standing(spark, table, silver, anew.keys, anew.wanted).join(fresh, list(table.key), "left_anti")
    return Many.of(fresh.unionByName(gone.withColumn("is_deleted", F.lit(True)), allowMissingColumns=True))


def _with_those_gone(spark: "SparkSession", table: Joined, silver: LakeTable, keys: Few, fresh: Few) -> Few:
    """Only of keys that do not come out it is asked whether they are there; mostly all come out."""
    came, key = fresh.rows.select(list(table.key)), list(table.key)
    missing = keys.rows.cast(came.schema).join(came, key, join_type="left anti")
    if not missing.num_rows:
        return fresh
    looked_for, wanted = replace(keys, rows=missing), wanted_of(missing.select(list(table.plain_key)))
    gone = Few.of(_standing(spark, table, silver, looked_for, wanted))
    marked = gone.with_column("is_deleted", pa.repeat(True, gone.rows.num_rows)).rows
    return replace(fresh, rows=pa.concat_tables([fresh.rows, marked], promote_options="default"))


def _standing(
    spark: "SparkSession", table: Joined, silver: LakeTable, keys: WorkedOut, wanted: Wanted
) -> DataFrame:
    """Those of the keys that are there."""
    rows = read(spark, silver, wanted=wanted).where(~F.col("is_deleted")).select(*table.key)
    return rows.join(F.broadcast(keys.in_spark), list(table.key), "left_semi")


def _anew(
    spark: "SparkSession",
    table: Joined,
    silver: LakeTable,
    held: Mapping[str, LakeTable],
    changed: Collection[str],
) -> _Anew:
    since = {
        source.silver_name: _since(spark, silver, held[source.silver_name])
        if source.silver_name in changed
        else _nothing(spark, source)
        for source in table.inputs
    }
    standing = read(spark, silver).where(~F.col("is_deleted"))
    openings = {
        source.silver_name: partial(_live, spark, source, held[source.silver_name]) for source in table.inputs
    }
    live = _WhenAsked({**openings, table.name: lambda: standing})
    if table.carried_on:
        keys, made = table.carried_on(since, live, standing)
        return _Anew(worked_out(keys, FEW), made)
    if table.made is None or table.touched is None:
        raise AssertionError("unreachable")
    try:
        for each in held.values():
            _must_have_gone_on(silver, each)
        since = {
            source.silver_name: _key_alone(source, since)
            if source.silver_name in table.by_key_alone
            else _and_before(spark, source, silver, held[source.silver_name], since)
            for source in table.inputs
        }
    except NotKept as reason:
        log.warning("%s is made anew, all of it, since what changed can't be told: %s", table.name, reason)
        made = table.made(live)
        return _Anew(Many(made.select(*table.key).unionByName(standing.select(*table.key)).distinct()), made)
    touched = worked_out(table.touched(since, live).select(*table.key).distinct(), FEW)
    wanted: Wanted = {}
    if isinstance(touched, Few):
        if not touched.rows.num_rows:
            return _Anew(touched, _nothing(spark, table))
        wanted = wanted_of(touched.rows.select(list(table.plain_key)))
    concerned = {
        source.silver_name: _concerned(
            spark, source, held[source.silver_name], touched.in_spark, wanted, table
        )
        for source in table.inputs
    }
    made = table.made(concerned).join(F.broadcast(touched.in_spark), list(table.key), "left_semi")
    return _Anew(touched, made, wanted)


def _since(spark: "SparkSession", silver: LakeTable, held: LakeTable) -> DataFrame:
    """What changed in an input; all, where it was made anew and counts its batches from the first again."""
    done = reached(silver, held)
    return read(spark, held, after=done if done <= held.batch else 0)


def _key_alone(source: SourceTable | Joined, since: Inputs) -> DataFrame:
    # Named, or Spark would find a filter the columns that are not selected.
    return since[source.silver_name].select(*source.silver_key).alias(source.silver_name)


def _and_before(
    spark: "SparkSession", source: SourceTable | Joined, silver: LakeTable, held: LakeTable, since: Inputs
) -> DataFrame:
    """The rows of an input that changed, as they are and as they were when they were last looked at."""
    changed, done = since[source.silver_name], reached(silver, held)
    before = rows_before(spark, held, source, done, changed) if done < held.batch else None
    return changed if before is None else changed.unionByName(before, allowMissingColumns=True)


def _must_have_gone_on(silver: LakeTable, held: LakeTable) -> None:
    """What an input that was made anew does not have any more has no row that tells of it."""
    done = reached(silver, held)
    if held.batch < done:
        raise NotKept(f"{held.uri} at batch {done}, of which it has only {held.batch} since it was made anew")


def _concerned(
    spark: "SparkSession",
    source: SourceTable | Joined,
    held: LakeTable,
    keys: DataFrame,
    wanted: Wanted,
    table: Joined,
) -> DataFrame:
    """The rows of an input from which touched keys are made; all, where nothing is said of it."""
    had = table.found_in(source.silver_name)
    columns = {column.silver_name for column in source.columns}
    rows = _live(
        spark, source, held, {had[name]: each for name, each in wanted.items() if had.get(name) in columns}
    )
    if not had:
        return rows
    named = [F.col(name).alias(f"_touched_{name}") for name in had]
    same = [
        (F.col(said) if said in columns else F.expr(said)) == F.col(f"_touched_{name}")
        for name, said in had.items()
    ]
    return rows.join(F.broadcast(keys.select(*named).distinct()), same, "left_semi")


def _first(
    spark: "SparkSession",
    table: Joined,
    silver: LakeTable,
    held: Mapping[str, LakeTable],
    position: Mapping[str, int],
) -> Refined:
    live = {source.silver_name: _live(spark, source, held[source.silver_name]) for source in table.inputs}
    made = table.made(live) if table.made else _carried_from_nothing(spark, table, held, live)
    rows = Many.of(_shaped(table, made).withColumn("is_deleted", F.lit(False))).of_batch(1)
    counts = _counts(rows)
    note, stats = Note(position, counts), (*table.key, "_batch")
    create(
        spark, silver, rows.in_spark, note, stats, table.partitioned_by, order=table.key, count=counts["keys"]
    )
    return _refined(silver, counts)


def _carried_from_nothing(
    spark: "SparkSession", table: Joined, held: Mapping[str, LakeTable], live: Inputs
) -> DataFrame:
    if table.carried_on is None:
        raise AssertionError("unreachable")
    whole = {source.silver_name: _read(spark, source, held[source.silver_name]) for source in table.inputs}
    return table.carried_on(whole, live, _nothing(spark, table))[1]


def _live(
    spark: "SparkSession", source: SourceTable | Joined, table: LakeTable, wanted: Wanted | None = None
) -> DataFrame:
    return _read(spark, source, table, wanted).where(~F.col("is_deleted"))


def _read(
    spark: "SparkSession", source: SourceTable | Joined, table: LakeTable, wanted: Wanted | None = None
) -> DataFrame:
    """The input as it stands; without rows where it was never loaded, so that one source waits for no other."""
    return read(spark, table, wanted=wanted) if table.exists else _nothing(spark, source)


def _nothing(spark: "SparkSession", source: SourceTable | Joined) -> DataFrame:
    """No row, in the columns that the table has."""
    declared = {
        column.silver_name: spark_type(column.type) for column in source.columns if column.silver_name
    }
    columns = declared | {"is_deleted": "boolean", "_landed_at": "timestamp", "_batch": "bigint"}
    # Not from an empty list: a plan knows of this one that nothing comes of it, and passes over what is made with it.
    listed = ", ".join(f"cast(null as {kind}) as `{name}`" for name, kind in columns.items())
    return spark.sql(f"select {listed} where false")


def _shaped(table: Joined, rows: DataFrame) -> DataFrame:
    """The rows in exactly the declared columns and types."""
    columns = [F.col(name).cast(kind).alias(name) for name, kind in table.types.items()]
    return rows.select(*columns, "_landed_at")


def _counts(rows: WorkedOut) -> dict[str, int]:
    counts = rows.counts(deleted=lambda column: column("is_deleted"))
    return {"keys": counts.pop("rows"), **counts}


def _clauses(table: Joined) -> tuple[Clause, ...]:
    """A key that no longer comes out keeps what it was last, marked; a row that comes out as it is stays untouched."""
    columns = (*table.types, "_landed_at", "is_deleted", "_batch")
    same = " and ".join(
        f"(t.`{name}` is not distinct from s.`{name}`)" for name in (*table.types, "is_deleted")
    )
    return (
        update(("is_deleted", "_batch"), "s.is_deleted"),
        update(columns, f"not ({same})"),
        insert(columns, "not s.is_deleted"),
    )


def _refined(silver: LakeTable, counts: Mapping[str, int]) -> Refined:
    made = silver.fresh()
    return Refined(
        made.batch,
        made.rows,
        keys=counts["keys"],
        merged=counts["keys"] - counts["deleted"],
        deleted=counts["deleted"],
    )
