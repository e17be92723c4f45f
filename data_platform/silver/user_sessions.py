"""Silver user_sessions: one row per visitor and stretch of events with no more than 30 minutes between two.

Known untruths: who logs in halfway is two visitors, since the cookie and the user are not joined; events of which
nobody knows the visitor are left out; times are those of the visitor's own clock. A session's name is its first
moment, so that an earlier event which comes late gives it another name: the old one is marked deleted.
"""

from datetime import timedelta

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    STRING,
    TIMESTAMP,
    Column,
    Personal,
    holds,
)
from data_platform.lake.worked_out import WorkedOut, worked_out
from data_platform.silver.exchange import touched_by_rates, with_dollars
from data_platform.silver.few import FEW, ends
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.kafka import USER_EVENTS
from data_platform.sources.rest_api import EXCHANGE_RATES

EVENTS, RATES = USER_EVENTS.silver_name, EXCHANGE_RATES.silver_name
GAP = timedelta(minutes=30)
VISITOR = "coalesce(user_id, anonymous_id)"
COUNTED = {
    "page_views": "page_view",
    "product_views": "product_view",
    "cart_additions": "add_to_cart",
    "checkouts": "checkout_started",
    "purchases": "purchase",
}


def of_visitors(events: DataFrame) -> DataFrame:
    """The events that have a visitor and a moment."""
    known = events.withColumn("visitor_id", F.expr(VISITOR))
    return known.where("visitor_id is not null and event_time is not null").withColumn(
        "event_day", F.to_date("event_time")
    )


def within_sessions(events: DataFrame) -> DataFrame:
    """Each visitor's events with the start of their session."""
    by_time = Window.partitionBy("visitor_id").orderBy("event_time", "event_id")
    before = F.lag("event_time").over(by_time)
    begins = before.isNull() | (F.col("event_time") - before > F.lit(GAP))
    started = F.max(F.when(F.col("begins"), F.col("event_time"))).over(by_time)
    return events.withColumn("begins", begins).withColumn("started_at", started)


def user_sessions(inputs: Inputs) -> DataFrame:
    events = within_sessions(of_visitors(inputs[EVENTS]))
    spent = with_dollars(
        events.where("event_type = 'purchase'").select("event_id", "value", "currency", "event_day"),
        inputs[RATES],
        amount="value",
        currency="currency",
        day="event_day",
    )
    valued = events.join(spent.select("event_id", "value_usd"), "event_id", "left")
    return valued.groupBy("visitor_id", "started_at").agg(
        F.max("user_id").alias("user_id"),
        F.max("event_time").alias("ended_at"),
        F.count("*").alias("events"),
        *(F.count_if(F.col("event_type") == kind).alias(name) for name, kind in COUNTED.items()),
        F.sum("value_usd").alias("value_usd"),
        *(_first(name).alias(name) for name in ("device_type", "country")),
        *(_first(name).alias(name) for name in ("utm_source", "utm_medium", "utm_campaign")),
        _first("page_url").alias("landing_page"),
        F.coalesce(F.bool_or("is_bot"), F.lit(False)).alias("is_bot"),
        F.max("_landed_at").alias("_landed_at"),
    )


def _first(name: str) -> SparkColumn:
    """What the first event that says it says."""
    return F.min_by(name, F.when(F.col(name).isNotNull(), F.struct("event_time", "event_id")))


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    """Around what changed: each visitor's sessions that hold it or come within a gap of it, and every event there,
    since any of them may begin a session now."""
    told = of_visitors(changed[EVENTS]).select("visitor_id", "event_time")
    held, events = live[NAME], of_visitors(live[EVENTS])
    by_rate = touched_by_rates(
        events.where("event_type = 'purchase'"),
        changed[RATES],
        live[RATES],
        currency="currency",
        day="event_time",
    )
    moments = worked_out(told.unionByName(by_rate.select("visitor_id", "event_time")).distinct(), FEW)
    around = worked_out(_reach(moments, held), FEW)
    begun = _inside(held.withColumn("moment", F.col("started_at")), around)
    happened = _inside(events.withColumn("moment", F.col("event_time")), around)
    return begun.unionByName(happened)


def _reach(told: WorkedOut, held: DataFrame) -> DataFrame:
    """Of each visitor one stretch of time, from the first to the last moment or session that a moment may change."""
    first, last = ends(told, "event_time")
    moments = told.in_spark
    sessions = held.select(F.col("visitor_id").alias("of"), "started_at", "ended_at").where(
        (F.col("started_at") <= last + F.lit(GAP)) & (F.col("ended_at") >= first - F.lit(GAP))
    )
    near = (
        (F.col("visitor_id") == F.col("of"))
        & (F.col("event_time") >= F.col("started_at") - F.lit(GAP))
        & (F.col("event_time") <= F.col("ended_at") + F.lit(GAP))
    )
    known = F.broadcast(moments).join(sessions, near, "inner").drop("of")
    alone = moments.withColumns({name: F.col("event_time") for name in ("started_at", "ended_at")})
    return (
        known.unionByName(alone)
        .groupBy("visitor_id")
        .agg(
            F.min(F.least("event_time", "started_at")).alias("since"),
            F.max(F.greatest("event_time", "ended_at")).alias("until"),
        )
    )


def _inside(rows: DataFrame, around: WorkedOut) -> DataFrame:
    near = rows.where(F.col("moment").between(*ends(around, "since", "until")))
    inside = near.join(F.broadcast(around.in_spark), "visitor_id").where("moment between since and until")
    return inside.select("visitor_id", F.col("moment").alias("started_at"))


NAME = "user_sessions"
USER_SESSIONS = Joined(
    name=NAME,
    description="What visitors did in one go: a session ends after 30 minutes without an event.",
    owner="team:marketing",
    key=("visitor_id", "started_at"),
    inputs=(USER_EVENTS, EXCHANGE_RATES),
    columns=(
        Column(
            "visitor_id",
            STRING,
            required=True,
            personal=Personal.USER,
            description="The user where one is logged in, else the browser's cookie.",
        ),
        Column("user_id", STRING, personal=Personal.USER),
        Column("started_at", TIMESTAMP, required=True),
        Column("ended_at", TIMESTAMP, description="The last event's moment."),
        Column("events", INTEGER),
        *(Column(name, INTEGER) for name in COUNTED),
        Column(
            "value_usd", DECIMAL(18, 2), sensitive=True, description="What was bought, by the day's rate."
        ),
        Column("device_type", STRING),
        Column("country", STRING),
        Column("utm_source", STRING, description="The first that an event of the session names."),
        Column("utm_medium", STRING),
        Column("utm_campaign", STRING),
        Column("landing_page", STRING, personal=Personal.FREE_TEXT, description="The first page."),
        Column("is_bot", BOOLEAN, description="Our collector took any of its events for a crawler's."),
    ),
    made=user_sessions,
    touched=touched,
    by_key_alone=(RATES,),
    # Every event of a touched stretch is among the keys, under its own moment.
    belonging={EVENTS: {"visitor_id": VISITOR, "started_at": "event_time"}},
    rules=(holds("ends_after_it_starts", "{ended_at} >= {started_at}", "ends after it starts"),),
)
