"""What a day's money was worth in US dollars: the published rates, each in force until the next is published.

Days without a rate of their own (weekends, holidays) take the newest before them; days before the first rate of a
currency have none.
"""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.silver.few import ends

FOREVER = date(9999, 12, 31)


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
    known = in_dollars(rates).select("currency", "rate_from")
    others = changed.where("currency <> 'USD'").select("currency", "date")
    all_others = changed.where("currency = 'USD'").select("date").join(known.select("currency").distinct())
    moved = others.unionByName(all_others).coalesce(1).distinct()
    later = (moved["currency"] == known["currency"]) & (known["rate_from"] > moved["date"])
    spans = (
        moved.join(known.hint("shuffle_hash"), later, "left")
        .groupBy(moved["currency"].alias("moved_currency"), moved["date"].alias("from_day"))
        .agg(F.coalesce(F.min("rate_from"), F.lit(FOREVER)).alias("to_day"))
        .localCheckpoint()
    )
    its_day = F.to_date(rows[day])
    within = (
        (rows[currency] == spans["moved_currency"])
        & (its_day >= spans["from_day"])
        & (its_day < spans["to_day"])
    )
    first, last = ends(spans, "from_day", "to_day")
    near = rows.where((rows[day] >= first) & (rows[day] < last))
    return near.join(F.broadcast(spans), within, "left_semi")
