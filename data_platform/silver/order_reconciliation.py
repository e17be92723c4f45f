"""Silver order_reconciliation: one row per order, what was ordered beside what was booked and paid for it.

Known untruths: of several payments that events name for an order the newest counts; journals in several currencies
are summed as they are, and told as `currency_differs`; a line that names no order belongs to none and is not here.
"""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import DECIMAL, INTEGER, STRING, Column, holds
from data_platform.lake.worked_out import worked_out
from data_platform.silver.few import FEW, ends
from data_platform.silver.joined import Inputs, Joined
from data_platform.silver.orders import one_life
from data_platform.sources.kafka import ORDER_EVENTS
from data_platform.sources.postgres import PAYMENTS
from data_platform.sources.snowflake import CUSTOMER_ORDERS, FINANCIAL_TRANSACTIONS

WAREHOUSE, EVENTS = CUSTOMER_ORDERS.silver_name, ORDER_EVENTS.silver_name
LINES, PAID = FINANCIAL_TRANSACTIONS.silver_name, PAYMENTS.silver_name
MONEY = DECIMAL(18, 2)


def booked(lines: DataFrame) -> DataFrame:
    """A row per order: what its journals hold."""
    return (
        lines.where(F.col("order_id").isNotNull())
        .groupBy("order_id")
        .agg(
            F.sum(F.coalesce("debit", F.lit(0))).alias("booked_debit"),
            F.sum(F.coalesce("credit", F.lit(0))).alias("booked_credit"),
            F.count_distinct("journal_id").alias("journals"),
            F.min("currency").alias("booked_currency"),
            (F.count_distinct("currency") > 1).alias("in_several"),
            F.max("_landed_at").alias("_landed_at_of_lines"),
        )
    )


def order_reconciliation(inputs: Inputs) -> DataFrame:
    ordered = one_life(inputs[WAREHOUSE], inputs[EVENTS]).select(
        "order_id",
        F.col("amount").alias("order_amount"),
        F.col("currency").alias("order_currency"),
        "payment_id",
        F.lit(True).alias("is_ordered"),
        "_landed_at",
    )
    known = ordered.join(booked(inputs[LINES]), "order_id", "full_outer")
    paid = inputs[PAID].select(
        "payment_id",
        F.col("amount").alias("paid_amount"),
        F.col("currency").alias("paid_currency"),
        F.col("_landed_at").alias("_landed_at_of_payment"),
    )
    compared = known.join(paid, "payment_id", "left")
    same = F.col("order_currency").eqNullSafe(F.col("booked_currency")) & ~F.col("in_several")
    return compared.withColumns(
        {
            "currency": F.coalesce("order_currency", "booked_currency"),
            "journals": F.coalesce("journals", F.lit(0)),
            "difference": F.when(same, F.col("booked_debit") - F.col("order_amount")),
            "state": _state(same),
            "_landed_at": F.greatest("_landed_at", "_landed_at_of_lines", "_landed_at_of_payment"),
        }
    )


def _state(is_booked_alike: SparkColumn) -> SparkColumn:
    """The first that holds, the gravest first; what is not known to differ agrees."""
    paid_otherwise = F.col("paid_currency") != F.col("order_currency")
    differs = ~F.col("booked_debit").eqNullSafe(F.col("order_amount"))
    paid_differs = F.col("paid_amount") != F.col("order_amount")
    return (
        F.when(F.col("is_ordered").isNull(), "no_order")
        .when(F.col("booked_debit").isNull(), "not_booked")
        .when(F.col("booked_debit") != F.col("booked_credit"), "out_of_balance")
        .when(~is_booked_alike | F.coalesce(paid_otherwise, F.lit(False)), "currency_differs")
        .when(differs | F.coalesce(paid_differs, F.lit(False)), "amount_differs")
        .otherwise("agrees")
    )


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    """The orders of what changed; a payment's are those that are known to be paid by it."""
    payments = worked_out(changed[PAID].select("payment_id"), FEW)
    near = live[NAME].where(F.col("payment_id").between(*ends(payments, "payment_id")))
    paid = near.join(F.broadcast(payments.in_spark), "payment_id", "left_semi")
    sides = (changed[name].select("order_id") for name in (WAREHOUSE, EVENTS, LINES))
    warehouse, events, lines = sides
    named = warehouse.unionByName(events).unionByName(lines).where(F.col("order_id").isNotNull())
    return named.unionByName(paid.select("order_id"))


NAME = "order_reconciliation"
ORDER_RECONCILIATION = Joined(
    name=NAME,
    description="Whether what was ordered, what was booked for it and what was paid are the same money.",
    owner="team:finance",
    key=("order_id",),
    inputs=(CUSTOMER_ORDERS, ORDER_EVENTS, FINANCIAL_TRANSACTIONS, PAYMENTS),
    columns=(
        Column("order_id", STRING, required=True),
        Column("order_amount", MONEY, sensitive=True),
        Column("currency", STRING, description="The order's; without an order, that of its journals."),
        Column("booked_debit", MONEY, sensitive=True, description="The debits of all of its journals."),
        Column("booked_credit", MONEY, sensitive=True),
        Column("journals", INTEGER, required=True),
        Column("payment_id", INTEGER, description="As order_events names it."),
        Column(
            "paid_amount", MONEY, sensitive=True, description="Null where the shop does not know the payment."
        ),
        Column("paid_currency", STRING),
        Column(
            "difference",
            MONEY,
            sensitive=True,
            description="Booked less ordered; null where their currencies differ.",
        ),
        Column(
            "state",
            STRING,
            required=True,
            description="The gravest that holds: no_order, not_booked, out_of_balance, currency_differs (of what was "
            "booked or paid), amount_differs; else agrees.",
        ),
    ),
    made=order_reconciliation,
    touched=touched,
    by_key_alone=(WAREHOUSE, PAID),
    belonging={WAREHOUSE: ("order_id",), EVENTS: ("order_id",), LINES: ("order_id",)},
    rules=(holds("agrees", "{state} = 'agrees'", "is booked and paid as it was ordered"),),
)
