"""What a day's money was worth in US dollars: the published rates, each in force until the next is published.

Days without a rate of their own (weekends, holidays) take the newest before them; days before the first rate of a
currency have none.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from operator import itemgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.lake.worked_out import Few
from data_platform.silver.few import ends

FOREVER = date(9999, 12, 31)
SPAN = pa.schema([("moved_currency", pa.string()), ("from_day", pa.date32()), ("to_day", pa.date32())])


def in_dollars(rates: DataFrame) -> DataFrame:
    """From the published rates: `currency`, `rate_from`, `rate_to` (exclusive) and `usd`, the dollars for one unit."""
    # Few, and in one piece: nothing of what follows moves a row or is a job of its own.
    published = rates.select("base", "date", "currency", "rate").coalesce(1)
    # The base costs one of itself, which nobody publishes.
    base = published.select("base", "date", F.col("base").alias("currency"), F.lit(1).alias("rate"))
    of_day = published.unionByName(base.distinct()).coalesce(1)
    dollar = of_day.where("currency = 'USD'").select("base", "date", F.col("rate").alias("dollar"))
    worth = of_day.join(dollar.hint("shuffle_hash"), ["base", "date"]).select(
        "currency", "date", (F.col("dollar") / F.col("rate")).cast("decimal(38,12)").alias("usd")
    )
    # Where several bases are published, they agree but for rounding.
    single = worth.groupBy("currency", "date").agg(F.max("usd").alias("usd"))
    following = F.lead("date").over(Window.partitionBy("currency").orderBy("date"))
    return single.select(
        "currency",
        F.col("date").alias("rate_from"),
        F.coalesce(following, F.lit(FOREVER)).alias("rate_to"),
        "usd",
    )


def by_day(rates: DataFrame) -> DataFrame:
    """Of each `currency` the dollars for one unit day by day (`usd`, an array), from its `first_day` on to its last
    rate. A row's rate is found by its place, not by going through all of them."""
    days = f"if(each.rate_to = date'{FOREVER}', 1, datediff(each.rate_to, each.rate_from))"
    spans = "array_sort(collect_list(struct(rate_from, rate_to, usd)))"
    return (
        in_dollars(rates)
        .groupBy("currency")
        .agg(
            F.min("rate_from").alias("first_day"),
            F.expr(f"flatten(transform({spans}, each -> array_repeat(each.usd, {days})))").alias("usd"),
        )
    )


def with_dollars(rows: DataFrame, rates: DataFrame, amount: str, currency: str, day: str) -> DataFrame:
    """The rows with their amount in dollars, by the rate of their currency on their day. A dollar is one, whatever is
    published."""
    worth = by_day(rates)
    joined = rows.join(F.broadcast(worth), rows[currency] == worth["currency"], "left")
    since = F.datediff(rows[day], worth["first_day"])
    # The last rate is in force until the next. A row without a day has none.
    found = F.when(since >= 0, F.get(worth["usd"], F.least(since, F.size(worth["usd"]) - 1)))
    one = F.when(rows[currency] == "USD", F.lit(1)).otherwise(found)
    return joined.select(rows["*"], (rows[amount] * one).cast("decimal(18,2)").alias(f"{amount}_usd"))


def touched_by_rates(
    rows: DataFrame,
    changed: DataFrame,
    rates: DataFrame,
    currency: str,
    day: str,
) -> DataFrame:
    """The rows that a change of rates can give other dollars: those of its currency, from its day on to the next day
    that the currency has a rate for. A change of the dollar's rate is one of every currency.

    The day may be a moment of it too: files tell what is written in them, not what can be made of it.
    """
    # Rates are few, and mostly none changed: what a plan would say of them takes longer to say than to look up.
    moved = _told(changed, "currency", "date")
    if not moved:
        return rows.where(F.lit(False))
    spans = _spans(moved, _told(rates, "base", "date", "currency"))
    following = Few(pa.Table.from_pylist(spans, SPAN), rows.sparkSession)
    its_day = F.to_date(rows[day])
    within = (
        (rows[currency] == F.col("moved_currency"))
        & (its_day >= F.col("from_day"))
        & (its_day < F.col("to_day"))
    )
    first, last = ends(following, "from_day", "to_day")
    near = rows.where((rows[day] >= first) & (rows[day] < last))
    return near.join(F.broadcast(following.in_spark), within, "left_semi")


def _told(rates: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    told = Few.of(rates.select(*columns)).rows
    return list(zip(*(told.column(name).to_pylist() for name in columns), strict=True))


def _spans(moved: Iterable[tuple[str, date]], rates: Iterable[tuple[str, date, str]]) -> list[dict[str, Any]]:
    """From each day on which a currency's rate moved, with the next on which it has one that tells dollars."""
    published = {told for base, day, currency in rates for told in ((base, day, currency), (base, day, base))}
    in_dollars = {(base, day) for base, day, currency in published if currency == "USD"}
    days: dict[str, list[date]] = defaultdict(list)
    for base, day, currency in sorted(published, key=itemgetter(1)):
        if (base, day) in in_dollars:
            days[currency].append(day)
    starts = {(each, day) for currency, day in moved for each in (days if currency == "USD" else (currency,))}
    return [
        {"moved_currency": currency, "from_day": day, "to_day": _first_after(day, days.get(currency, ()))}
        for currency, day in sorted(starts)
    ]


def _first_after(day: date, days: Sequence[date]) -> date:
    place = bisect_right(days, day)
    return days[place] if place < len(days) else FOREVER
