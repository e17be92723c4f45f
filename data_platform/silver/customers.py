"""Silver customers: one row per person or company, made of all records that customer_identities says are theirs.

A value is the first that is there: of the CRM's account or contact, then of the shop, of CleverTap, of a lead; within
a system, of the record that changed last. A person's company, its industry and segment are those of the CRM account
that the contact belongs to, else what the lead says.

Known untruths: values come from different records, so a name and a phone may be of different years; CleverTap says no
time of a change, so the day of last use stands for it; a customer that nothing but orders, payments or events mention
has a number and no more, not even a moment; who is known as a company and as its buyer is two customers.
"""

from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import (
    BOOLEAN,
    INTEGER,
    LIST,
    STRING,
    TIMESTAMP,
    Column,
    Personal,
    holds,
)
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES
from data_platform.silver.few import Rows
from data_platform.silver.identity_links import (
    APP,
    COMPANIES,
    KEY,
    LEADS_OF_CRM,
    PEOPLE,
    SHOP,
    SYSTEMS,
    customer_id,
    of,
)
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.clevertap import CLEVERTAP_PROFILES
from data_platform.sources.postgres import CUSTOMERS as SHOP_CUSTOMERS
from data_platform.sources.salesforce import ACCOUNTS, CONTACTS, LEADS

NAME = "customers"
IDENTITIES = CUSTOMER_IDENTITIES.name
# Each system's table, its key there, and what of it says what: by the customer's column.
TOLD = {
    COMPANIES: (
        ACCOUNTS.silver_name,
        "account_id",
        {
            "full_name": "account_name",
            "phone": "phone",
            "account_id": "account_id",
            "country": "billing_country",
            "city": "billing_city",
            "changed_at": "system_modstamp",
        },
    ),
    PEOPLE: (
        CONTACTS.silver_name,
        "contact_id",
        {
            "full_name": "full_name",
            "phone": "coalesce(phone, mobile_phone)",
            "account_id": "account_id",
            "country": "mailing_country",
            "city": "mailing_city",
            "lead_source": "lead_source",
            "changed_at": "system_modstamp",
        },
    ),
    SHOP: (
        SHOP_CUSTOMERS.silver_name,
        "customer_id",
        {"full_name": "full_name", "phone": "phone", "tier": "tier", "changed_at": "updated_at"},
    ),
    APP: (
        CLEVERTAP_PROFILES.silver_name,
        "identity",
        {"full_name": "full_name", "phone": "phone", "changed_at": "cast(seen_on as timestamp)"},
    ),
    LEADS_OF_CRM: (
        LEADS.silver_name,
        "lead_id",
        {
            "full_name": "full_name",
            "phone": "coalesce(phone, mobile_phone)",
            "account_id": "converted_account_id",
            "company_name": "company",
            "country": "country",
            "city": "city",
            "industry": "industry",
            "lead_source": "lead_source",
            "changed_at": "system_modstamp",
        },
    ),
}
TEXTS = (
    *("full_name", "phone", "account_id", "company_name", "country", "city", "industry", "tier", "lead_source"),
)  # fmt: skip


def carried_on(changed: Inputs, live: Inputs, standing: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The customers that have or had changed records, and the people of companies that changed."""
    named = changed[IDENTITIES].select("customer_id", *KEY).localCheckpoint()
    rows = Rows.like(named.select(*KEY).unionByName(_told_by(changed).select(*KEY)))
    keys = rows.together(
        named.select("customer_id"),
        _of_records(changed, live, rows),
        _standing(named, changed, standing, rows),
    )
    keys = keys.distinct().localCheckpoint()
    mine = rows.gathered(live[IDENTITIES].join(rows.sent(keys), "customer_id", "left_semi"))
    said = mine.select(
        "customer_id", *KEY, "email", "matched_by", "created_at", "_landed_at"
    ).localCheckpoint()
    told = rows.gathered(of(rows.sent(said), _told_by(live)))
    return keys, _with_company(customers(said, told), live[ACCOUNTS.silver_name], rows)


def _of_records(changed: Inputs, live: Inputs, rows: Rows) -> DataFrame:
    """The customers of records that say something else now, be it only a phone."""
    told = rows.gathered(_told_by(changed).select(*KEY)).distinct()
    return rows.gathered(of(rows.sent(told), live[IDENTITIES]).select("customer_id"))


def _standing(named: DataFrame, changed: Inputs, standing: DataFrame, rows: Rows) -> DataFrame:
    """The customers that were named after changed records, and the people of companies that changed.

    Who loses a record that leaves others behind comes out anew with these: they changed too.
    """
    after = named.select(customer_id(F.col("system"), F.col("source_id")).alias("by"))
    by = rows.gathered(
        after.unionByName(changed[ACCOUNTS.silver_name].select(F.col("account_id").alias("by")))
    )
    held = standing.select("customer_id", F.explode(F.array("customer_id", "account_id")).alias("by"))
    return rows.gathered(held.join(rows.sent(by), "by", "left_semi").select("customer_id"))


def customers(records: DataFrame, told: DataFrame) -> DataFrame:
    """A row for each customer of these records, from what the systems told of them."""
    each = records.join(told.drop("_landed_at"), list(KEY), "left")
    customer = each.groupBy("customer_id").agg(
        F.array_sort(F.collect_list(F.struct(*_precedence(), "system", "email", *TEXTS))).alias("said"),
        F.array_sort(F.collect_set("system")).alias("systems"),
        F.array_sort(F.collect_set(F.when(F.col("matched_by") != "itself", F.col("matched_by")))).alias(
            "ways"
        ),
        F.count("*").alias("records"),
        F.min("created_at").alias("first_seen_at"),
        F.max("changed_at").alias("updated_at"),
        F.max("_landed_at").alias("_landed_at"),
    )
    is_company = F.array_contains("systems", COMPANIES)
    return customer.withColumns(
        {
            **{name: _first_said(name) for name in ("email", *TEXTS)},
            "customer_kind": F.when(is_company, "company").otherwise("person"),
            "is_lead_only": F.col("systems") == F.array(F.lit(LEADS_OF_CRM)),
            "matched_by": F.when(F.col("records") == 1, "alone").otherwise(F.array_join("ways", ",")),
        }
    )


def _told_by(inputs: Inputs) -> DataFrame:
    """What systems say of their records, one under the other."""
    return reduce(
        DataFrame.unionByName,
        (
            inputs[table].select(
                F.lit(system).alias("system"),
                F.col(key).alias("source_id"),
                *(F.expr(said.get(name, "null")).cast("string").alias(name) for name in TEXTS),
                F.expr(said["changed_at"]).alias("changed_at"),
                "_landed_at",
            )
            for system, (table, key, said) in TOLD.items()
        ),
    )


def _precedence() -> tuple[SparkColumn, ...]:
    rank = F.array_position(F.array(*map(F.lit, SYSTEMS)), F.col("system")).alias("rank")
    return rank, (-F.unix_micros("changed_at")).alias("age"), F.col("source_id")


def _first_said(name: str) -> SparkColumn:
    return F.get(F.filter("said", lambda each: each[name].isNotNull()), F.lit(0))[name]


def _with_company(customers: DataFrame, accounts: DataFrame, rows: Rows) -> DataFrame:
    """What the CRM says of the account comes before what a lead said."""
    customers = customers.localCheckpoint()
    theirs = customers.select("account_id").distinct()
    companies = accounts.join(rows.sent(theirs), "account_id", "left_semi").select(
        "account_id",
        F.col("account_name").alias("of_account"),
        F.col("industry").alias("its_industry"),
        "segment",
    )
    return customers.join(rows.gathered(companies), "account_id", "left").withColumns(
        {
            "company_name": F.coalesce("of_account", "company_name"),
            "industry": F.coalesce("its_industry", "industry"),
        }
    )


CUSTOMERS = Joined(
    name=NAME,
    description="People and companies, each with what all systems together know of them.",
    owner="team:revenue",
    key=("customer_id",),
    inputs=(CUSTOMER_IDENTITIES, ACCOUNTS, CONTACTS, LEADS, SHOP_CUSTOMERS, CLEVERTAP_PROFILES),
    columns=(
        Column(
            "customer_id",
            STRING,
            required=True,
            personal=Personal.CUSTOMER,
            description="Ours; customer_identities leads from a system's id to it.",
        ),
        Column("customer_kind", STRING, required=True),
        Column("full_name", STRING, personal=Personal.NAME),
        Column("email", STRING, personal=Personal.EMAIL, description="Trimmed, in lower case."),
        Column("phone", STRING, personal=Personal.PHONE),
        Column(
            "account_id",
            STRING,
            personal=Personal.ACCOUNT,
            description="The CRM account that a person belongs to; a company's own.",
        ),
        Column(
            "company_name",
            STRING,
            personal=Personal.NAME,
            description="The account's, else what a lead says.",
        ),
        # A country alone tells nobody.
        Column("country", STRING, description="As the CRM writes it."),
        Column("city", STRING, personal=Personal.ADDRESS),
        Column("industry", STRING),
        Column("segment", STRING, description="The account's, by its revenue."),
        Column("tier", STRING, description="In the shop."),
        Column("lead_source", STRING, description="What brought the contact, else the lead."),
        Column(
            "is_lead_only",
            BOOLEAN,
            required=True,
            description="Nobody but the CRM's leads knows the customer.",
        ),
        Column(
            "first_seen_at",
            TIMESTAMP,
            description="When the oldest of the records was made; null where no system says it.",
        ),
        Column(
            "matched_by",
            STRING,
            required=True,
            description="All ways in which the records were matched, with a comma between: conversion, email, id; "
            "alone for a single record.",
        ),
        Column("systems", LIST(STRING), description="Where there are records of the customer."),
        Column("records", INTEGER, required=True, description="How many."),
        Column(
            "updated_at",
            TIMESTAMP,
            description="The newest change among the records; null where no system says one.",
        ),
    ),
    carried_on=carried_on,
    rules=(
        holds(
            "company_is_an_account",
            "{customer_kind} <> 'company' or {account_id} is not null",
            "is a person, or an account of the CRM",
        ),
        holds(
            "has_a_record",
            "{records} >= 1",
            "is made of records",
        ),
    ),
)
