"""Silver payments: one row per payment of the shop, with the order that it was made for.

Known untruths: the order is the one whose newest event names the payment; payments of which no event tells have none.
A payment is worth what its day's rate says; refunds are positive amounts, marked by `is_refund`.
"""

from pyspark.sql import DataFrame
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
from data_platform.silver.exchange import touched_by_rates, with_dollars
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources import postgres
from data_platform.sources.kafka import ORDER_EVENTS
from data_platform.sources.rest_api import EXCHANGE_RATES

SHOP, EVENTS, RATES = postgres.PAYMENTS.silver_name, ORDER_EVENTS.silver_name, EXCHANGE_RATES.silver_name


def orders_paid(events: DataFrame) -> DataFrame:
    """The order that each payment was made for."""
    named = events.where(F.col("payment_id").isNotNull() & F.col("order_id").isNotNull())
    newest = F.struct("event_time", "event_id")
    return named.groupBy("payment_id").agg(
        F.max_by("order_id", newest).alias("order_id"), F.max("_landed_at").alias("_landed_at_of_order")
    )


def payments(inputs: Inputs) -> DataFrame:
    paid = inputs[SHOP].join(orders_paid(inputs[EVENTS]), "payment_id", "left")
    shaped = paid.select(
        *("payment_id", "customer_id", "order_id", "amount", "currency", "method", "is_refund", "paid_at"),
        "updated_at",
        F.to_date("paid_at").alias("paid_on"),
        F.greatest("_landed_at", "_landed_at_of_order").alias("_landed_at"),
    )
    return with_dollars(shaped, inputs[RATES], amount="amount", currency="currency", day="paid_on")


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    by_rate = touched_by_rates(live[NAME], changed[RATES], live[RATES], currency="currency", day="paid_at")
    sides = changed[SHOP].select("payment_id").unionByName(changed[EVENTS].select("payment_id"))
    return sides.where(F.col("payment_id").isNotNull()).unionByName(by_rate.select("payment_id"))


NAME = "payments"
PAYMENTS = Joined(
    name=NAME,
    description="What customers paid and were paid back, with the order that it was for, also in US dollars.",
    owner="team:finance",
    key=("payment_id",),
    inputs=(postgres.PAYMENTS, ORDER_EVENTS, EXCHANGE_RATES),
    columns=(
        Column("payment_id", INTEGER, required=True),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, description="The shop's number."),
        Column("order_id", STRING, description="As order_events names the payment; null where none does."),
        Column("amount", DECIMAL(18, 2), sensitive=True, description="In the payment's currency."),
        Column("currency", STRING),
        Column(
            "amount_usd", DECIMAL(18, 2), sensitive=True, description="By the rate of the day of payment."
        ),
        Column("method", STRING),
        Column("is_refund", BOOLEAN, description="The money went back to the customer."),
        Column("paid_at", TIMESTAMP),
        Column("updated_at", TIMESTAMP),
    ),
    made=payments,
    touched=touched,
    by_key_alone=(SHOP, RATES),
    belonging={SHOP: ("payment_id",), EVENTS: ("payment_id",)},
    rules=(holds("paid_before_it_changed", "{paid_at} <= {updated_at}", "is paid before it last changed"),),
)
