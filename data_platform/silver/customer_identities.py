"""Silver customer_identities: one row per record of a person or company in a system, with the customer it belongs to.

Records belong together by a number or by an email, and so do those that are linked through others; how people are
found, told in full, is docs/customers.md. What is linked with what is decided in identity_links.py.

Known untruths: a shop number stays known when no row says it any more; a record whose newest version waits in
quarantine belongs where the version before it did; who changes number and email at once is a new customer.
"""

from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import STRING, TIMESTAMP, Column, Personal, holds
from data_platform.silver.few import Rows
from data_platform.silver.identity_links import (
    APP,
    COMPANIES,
    KEY,
    LEADS_OF_CRM,
    PEOPLE,
    SHOP,
    TOLD,
    customer_of_each,
    linked_with,
    of,
)
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.clevertap import CLEVERTAP_PROFILES
from data_platform.sources.kafka import CARD_TRANSACTIONS, ORDER_EVENTS, USER_EVENTS
from data_platform.sources.mysql import SUBSCRIPTIONS
from data_platform.sources.postgres import CUSTOMERS, PAYMENTS
from data_platform.sources.salesforce import ACCOUNTS, CONTACTS, LEADS
from data_platform.sources.snowflake import CUSTOMER_ORDERS

NAME = "customer_identities"
# Where rows mention a customer by the shop's number.
MENTIONS = {
    CUSTOMER_ORDERS.silver_name: "customer_id",
    PAYMENTS.silver_name: "customer_id",
    SUBSCRIPTIONS.silver_name: "customer_id",
    USER_EVENTS.silver_name: "user_id",
    ORDER_EVENTS.silver_name: "customer_id",
    CARD_TRANSACTIONS.silver_name: "customer_id",
}
ADDRESS = r"^[^@\s]+@[^@\s.]+([.][^@\s.]+)+$"


def carried_on(changed: Inputs, _: Inputs, standing: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The records that belong to another customer than before, or for another reason, or say something else."""
    held = standing.select(*KEY, *TOLD, "customer_id", "matched_by", "_landed_at")
    told = records(changed).localCheckpoint()
    rows = Rows.like(told)
    told = rows.together(told)
    were = rows.gathered(of(rows.sent(told), held)).localCheckpoint()
    told = differing(told, were).localCheckpoint()
    before = of(told, were)
    near = linked_with(told, before, held, rows)
    live = told.where(~F.col("is_gone")).drop("is_gone")
    now = customer_of_each(rows.together(live, near.select(live.columns)).localCheckpoint())
    fresh = _different(now, rows.together(before, near)).localCheckpoint()
    gone = told.where("is_gone").select(*KEY)
    return rows.together(fresh.select(*KEY), gone), fresh


def records(changed: Inputs) -> DataFrame:
    """The records that changed, as they are now. `is_gone` marks those that are deleted, `is_mention` numbers of the
    shop of which nothing is told."""
    people = {"email": "email", "name": "full_name"}
    in_shop = _record(changed[CUSTOMERS.silver_name], SHOP, "customer_id", **people)
    told = (
        _record(changed[ACCOUNTS.silver_name], COMPANIES, "account_id"),
        _record(changed[CONTACTS.silver_name], PEOPLE, "contact_id", **people),
        _record(
            changed[LEADS.silver_name],
            LEADS_OF_CRM,
            "lead_id",
            number="coalesce(converted_contact_id, lead_id)",
            **people,
        ),
        _record(changed[CLEVERTAP_PROFILES.silver_name], APP, "identity", created="null", **people),
        in_shop,
        mentioned(changed).join(in_shop.select(*KEY), list(KEY), "left_anti"),
    )
    return reduce(DataFrame.unionByName, told)


def _record(
    rows: DataFrame,
    system: str,
    key: str,
    *,
    number: str = "",
    email: str = "null",
    name: str = "null",
    created: str = "created_at",
) -> DataFrame:
    """The shop's number outlives its row, which then tells nothing of it."""

    def of_live(said: str, kind: str) -> SparkColumn:
        return F.when(~F.col("is_deleted"), F.expr(said)).cast(kind)

    return rows.select(
        F.lit(system).alias("system"),
        F.col(key).alias("source_id"),
        F.expr(number or key).alias("number"),
        normalised(of_live(email, "string")).alias("email"),
        given_name(of_live(name, "string")).alias("given_name"),
        of_live(created, "timestamp").alias("created_at"),
        "_landed_at",
        (F.col("is_deleted") & F.lit(system != SHOP)).alias("is_gone"),
        F.lit(False).alias("is_mention"),
    )


def normalised(email: SparkColumn) -> SparkColumn:
    """Trimmed and in lower case; null for what is no address. Dots, plus-tags and spellings of a domain stay."""
    written = F.lower(F.trim(email))
    return F.when(written.rlike(ADDRESS), written)


def given_name(name: SparkColumn) -> SparkColumn:
    """The letters of a name's first word, in lower case."""
    first = F.regexp_replace(F.split(F.lower(F.trim(name)), r"\s+")[0], r"[^\p{L}]", "")
    return F.when(first != "", first)


def mentioned(changed: Inputs) -> DataFrame:
    """The shop's numbers that rows mention, deleted rows too."""
    said = [
        changed[table].select(F.col(name).alias("source_id"), "_landed_at")
        for table, name in MENTIONS.items()
    ]
    numbers = reduce(DataFrame.unionByName, said).where("source_id is not null").groupBy("source_id")
    return numbers.agg(F.min("_landed_at").alias("_landed_at")).select(
        F.lit(SHOP).alias("system"),
        "source_id",
        F.col("source_id").alias("number"),
        *(F.lit(None).cast("string").alias(name) for name in ("email", "given_name")),
        F.lit(None).cast("timestamp").alias("created_at"),
        "_landed_at",
        F.lit(False).alias("is_gone"),
        F.lit(True).alias("is_mention"),
    )


def differing(told: DataFrame, were: DataFrame) -> DataFrame:
    """Those of the records that are new or gone, or say another number, email, name or age than they did."""
    met = told.join(were.select(*KEY, F.struct(*TOLD).alias("was")), list(KEY), "left")
    is_other = ~F.struct(*TOLD).eqNullSafe(F.col("was"))
    is_new = F.col("was").isNull()
    differs = F.when(F.col("is_gone"), ~is_new).when(F.col("is_mention"), is_new).otherwise(is_other)
    return met.where(differs).drop("was", "is_mention")


def _different(now: DataFrame, before: DataFrame) -> DataFrame:
    said = F.struct(*TOLD, "customer_id", "matched_by")
    met = now.join(before.select(*KEY, said.alias("was")), list(KEY), "left")
    return met.where(~said.eqNullSafe(F.col("was"))).drop("was")


CUSTOMER_IDENTITIES = Joined(
    name=NAME,
    description="The records that systems keep of people and companies, each with the customer that it belongs to.",
    owner="team:revenue",
    key=KEY,
    inputs=(
        ACCOUNTS,
        CONTACTS,
        LEADS,
        CLEVERTAP_PROFILES,
        CUSTOMERS,
        PAYMENTS,
        SUBSCRIPTIONS,
        CUSTOMER_ORDERS,
        USER_EVENTS,
        ORDER_EVENTS,
        CARD_TRANSACTIONS,
    ),
    columns=(
        Column(
            "system",
            STRING,
            required=True,
            description="salesforce_accounts, salesforce_contacts, salesforce_leads, clevertap, or shop: the customer "
            "number that Snowflake, PostgreSQL, MySQL and Kafka share.",
        ),
        Column(
            "source_id", STRING, required=True, personal=Personal.CUSTOMER, description="The system's own id."
        ),
        Column(
            "customer_id",
            STRING,
            required=True,
            personal=Personal.CUSTOMER,
            description="In customers. Made from the oldest of the customer's records.",
        ),
        Column(
            "email",
            STRING,
            personal=Personal.EMAIL,
            description="Trimmed, in lower case; null for no address.",
        ),
        Column(
            "matched_by",
            STRING,
            required=True,
            description="Why it belongs to the customer: itself (the customer is named after it), id (it has the "
            "number of another record), conversion (a lead and its contact), email.",
        ),
        Column(
            "number",
            STRING,
            required=True,
            personal=Personal.CUSTOMER,
            description="The id that it shares with other systems: a converted lead's is its contact's.",
        ),
        Column(
            "given_name",
            STRING,
            personal=Personal.NAME,
            description="The first word of the name, in lower case.",
        ),
        Column("created_at", TIMESTAMP, description="Where the system says it."),
    ),
    carried_on=carried_on,
    rules=(
        holds(
            "matched_in_a_known_way",
            "{matched_by} in ('itself', 'id', 'conversion', 'email')",
            "says why it belongs to its customer",
        ),
    ),
)
