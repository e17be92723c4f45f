"""Silver orders: one row per order, the life that Snowflake's orders and Kafka's order_events tell of it together.

Known untruths: where both sides know an order, what Snowflake says of customer, product, amount and currency counts,
right or wrong (`sides_agree` tells); an order that events alone know has a product only where it is of one product, and
its day is that of its first event; an order that Snowflake alone knows has no moment of placing. The status is the
furthest that either side has seen, so that one which is set back stays where it was.
"""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    STRING,
    TIMESTAMP,
    WARN,
    Column,
    Dimension,
    Personal,
    Rule,
    holds,
)
from data_platform.silver.exchange import touched_by_rates, with_dollars
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.kafka import ORDER_EVENTS
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.snowflake import CUSTOMER_ORDERS

WAREHOUSE, EVENTS, RATES = CUSTOMER_ORDERS.silver_name, ORDER_EVENTS.silver_name, EXCHANGE_RATES.silver_name
# Whatever order the events come in, an order has come as far as the furthest of its steps.
STEPS = ("placed", "paid", "packed", "shipped", "delivered", "cancelled", "returned")
ITEMS = "array<struct<product_id: string, quantity: bigint>>"


def told_by_events(events: DataFrame) -> DataFrame:
    """A row per order: each step's first moment, the newest word on what does not change by steps."""
    items = F.from_json("items", ITEMS)
    told = events.where(F.col("order_id").isNotNull()).withColumns(
        {
            "products": F.array_distinct(F.transform(items, lambda item: item.product_id)),
            "pieces": F.aggregate(
                items, F.lit(0).cast("bigint"), lambda sum_, item: sum_ + F.coalesce(item.quantity, F.lit(0))
            ),
        }
    )
    return told.groupBy("order_id").agg(
        *(_newest(name).alias(f"{name}_told") for name in ("customer_id", "amount", "currency")),
        *(
            _newest(name).alias(name)
            for name in (
                *("payment_method", "payment_id", "coupon_code", "shipping_country"),
                *("sales_channel", "carrier", "is_gift", "products", "pieces"),
            )
        ),
        *(_first(step).alias(f"{step}_at") for step in STEPS),
        F.max(_rank(F.col("event_type"))).alias("rank_told"),
        F.min("event_time").alias("first_event_at"),
        F.max("event_time").alias("last_event_at"),
        F.count("*").alias("event_count"),
        F.max("_landed_at").alias("_landed_at_told"),
    )


def _newest(name: str) -> SparkColumn:
    """Of the events that say it, the newest; two of one moment are told apart by their ids."""
    said = F.when(F.col(name).isNotNull(), F.struct("event_time", "event_id"))
    return F.max_by(name, said)


def _first(step: str) -> SparkColumn:
    return F.min(F.when(F.col("event_type") == step, F.col("event_time")))


def _rank(status: SparkColumn) -> SparkColumn:
    """How far a status is; nothing for one that nobody declared."""
    ranks = F.create_map(
        *(F.lit(each) for pair in zip(STEPS, range(1, len(STEPS) + 1), strict=True) for each in pair)
    )
    return ranks[status]


def one_life(warehouse: DataFrame, events: DataFrame) -> DataFrame:
    """Every order that either side knows; without dollars."""
    held = warehouse.select(
        *("order_id", "customer_id", "product_id", "quantity", "amount", "currency", "status", "order_date"),
        F.col("shipped_at").alias("shipped_at_held"),
        *("updated_at", "_landed_at"),
        F.lit(True).alias("in_warehouse"),
    )
    told = told_by_events(events).withColumn("in_events", F.lit(True))
    both = held.join(told, "order_id", "full_outer")
    known = both.withColumns(
        {name: F.coalesce(name, F.lit(False)) for name in ("in_warehouse", "in_events")}
        | {"event_count": F.coalesce("event_count", F.lit(0))}
    )
    return known.select(
        "order_id",
        F.coalesce("customer_id", "customer_id_told").alias("customer_id"),
        F.coalesce("product_id", F.when(F.size("products") == 1, F.col("products")[0])).alias("product_id"),
        F.coalesce("quantity", "pieces").alias("quantity"),
        *(_of_one_side(name).alias(name) for name in ("amount", "currency")),
        _status().alias("status"),
        F.coalesce("order_date", F.to_date(F.coalesce("placed_at", "first_event_at"))).alias("order_date"),
        *("placed_at", "paid_at"),
        F.coalesce("shipped_at", "shipped_at_held").alias("shipped_at"),
        *("delivered_at", "cancelled_at", "returned_at", "payment_method", "payment_id", "coupon_code"),
        *(
            "shipping_country",
            "sales_channel",
            "carrier",
            "is_gift",
            "in_warehouse",
            "in_events",
            "event_count",
        ),
        F.col("amount_told").alias("amount_in_events"),
        _sides_agree().alias("sides_agree"),
        F.greatest("updated_at", "last_event_at").alias("updated_at"),
        F.greatest("_landed_at", "_landed_at_told").alias("_landed_at"),
    )


def _of_one_side(name: str) -> SparkColumn:
    """An amount and its currency are of one side, never mixed."""
    return F.when(F.col("in_warehouse"), F.col(name)).otherwise(F.col(f"{name}_told"))


def _status() -> SparkColumn:
    furthest = F.greatest(_rank(F.col("status")), F.col("rank_told"))
    named = F.array(*map(F.lit, STEPS))
    return F.coalesce(F.when(furthest.isNotNull(), F.element_at(named, furthest)), F.col("status"))


def _sides_agree() -> SparkColumn:
    both = F.col("in_warehouse") & F.col("in_events")
    same = [F.col(name).eqNullSafe(F.col(f"{name}_told")) for name in ("customer_id", "amount", "currency")]
    return F.when(both, same[0] & same[1] & same[2])


def orders(inputs: Inputs) -> DataFrame:
    lives = one_life(inputs[WAREHOUSE], inputs[EVENTS])
    return with_dollars(lives, inputs[RATES], amount="amount", currency="currency", day="order_date")


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    by_rate = touched_by_rates(live[NAME], changed[RATES], live[RATES], currency="currency", day="order_date")
    sides = changed[WAREHOUSE].select("order_id").unionByName(changed[EVENTS].select("order_id"))
    return sides.where(F.col("order_id").isNotNull()).unionByName(by_rate.select("order_id"))


NAME = "orders"
ORDERS = Joined(
    name=NAME,
    description="Each order as one life: what the warehouse holds of it and what its events tell, also in US dollars.",
    owner="team:sales",
    key=("order_id",),
    inputs=(CUSTOMER_ORDERS, ORDER_EVENTS, EXCHANGE_RATES),
    columns=(
        Column("order_id", STRING, required=True),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, description="The shop's number."),
        Column("product_id", STRING, description="Null where events alone know the order and list several."),
        Column("quantity", INTEGER, description="Pieces."),
        Column("amount", DECIMAL(18, 2), sensitive=True, description="In the order's currency."),
        Column("currency", STRING),
        Column("amount_usd", DECIMAL(18, 2), sensitive=True, description="By the rate of the order's day."),
        Column("status", STRING, description=f"The furthest that either side has seen: {', '.join(STEPS)}."),
        Column(
            "order_date", DATE, description="As the warehouse says; else the day, in UTC, of its first event."
        ),
        Column("placed_at", TIMESTAMP, description="By the events, as all moments but shipped_at."),
        Column("paid_at", TIMESTAMP),
        Column("shipped_at", TIMESTAMP, description="By the events; else as the warehouse says."),
        Column("delivered_at", TIMESTAMP),
        Column("cancelled_at", TIMESTAMP),
        Column("returned_at", TIMESTAMP),
        Column("payment_method", STRING),
        Column("payment_id", INTEGER, description="The shop's payment, as the events name it."),
        Column("coupon_code", STRING),
        Column("shipping_country", STRING),
        Column("sales_channel", STRING),
        Column("carrier", STRING),
        Column("is_gift", BOOLEAN),
        Column("in_warehouse", BOOLEAN, required=True, description="Snowflake has the order."),
        Column("in_events", BOOLEAN, required=True, description="order_events has the order."),
        Column("event_count", INTEGER, required=True),
        Column("amount_in_events", DECIMAL(18, 2), sensitive=True, description="As the newest event says."),
        Column(
            "sides_agree",
            BOOLEAN,
            description="Both sides know the order, and name the same customer, amount and currency; null where one "
            "side alone knows it.",
        ),
        Column("updated_at", TIMESTAMP, description="The newest change on either side."),
    ),
    made=orders,
    touched=touched,
    by_key_alone=(WAREHOUSE, RATES),
    belonging={WAREHOUSE: ("order_id",), EVENTS: ("order_id",)},
    rules=(
        Rule(
            "known_to_the_warehouse",
            "{in_warehouse}",
            "is in the warehouse too",
            Dimension.COMPLETENESS,
            WARN,
        ),
        Rule("has_customer", "{customer_id} is not null", "has a customer", Dimension.COMPLETENESS, WARN),
        holds("sides_agree", "{sides_agree}", "is told alike by the warehouse and by its events"),
        holds("placed_before_delivered", "{placed_at} <= {delivered_at}", "is placed before it is delivered"),
    ),
)
