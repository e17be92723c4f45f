"""Which records are one person or company: what links them, which links count, and how their customer is named.

- A number is an id that systems share: the CRM's contact is the shop's customer and CleverTap's identity under one
  number, and a converted lead has that of the contact it became. Records of one number belong together always.
- An email joins the numbers whose records hold it, unless it can't be one person's; `shared_emails` says when.
- Numbers that emails would bring to one customer with two contacts stay apart: the CRM knows them as two people.

A customer is named after the oldest of its records, so that it keeps its id when a lead becomes a contact.
"""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.lake.errors import LakeError
from data_platform.silver.few import Rows

KEY = ("system", "source_id")
# What a record says that decides whose it is.
TOLD = ("number", "email", "given_name", "created_at")
COMPANIES, PEOPLE, LEADS_OF_CRM = "salesforce_accounts", "salesforce_contacts", "salesforce_leads"
SHOP, APP = "shop", "clevertap"
# Whom to believe first.
SYSTEMS = (COMPANIES, PEOPLE, SHOP, APP, LEADS_OF_CRM)
# Mailboxes of a function: several people read them, and others come after these.
ROLES = (
    *(
        "abuse",
        "accounting",
        "accounts",
        "admin",
        "billing",
        "booking",
        "careers",
        "contact",
        "enquiries",
        "finance",
    ),
    *(
        "hello",
        "help",
        "helpdesk",
        "hr",
        "info",
        "invoices",
        "it",
        "jobs",
        "kontakt",
        "mail",
        "marketing",
        "newsletter",
    ),
    *(
        "no-reply",
        "noreply",
        "office",
        "orders",
        "postmaster",
        "press",
        "purchasing",
        "reception",
        "root",
        "sales",
    ),
    *("security", "service", "shop", "support", "team", "webmaster"),
)
# An email that more numbers share was made up.
MOST_NUMBERS = 8
# How many records one after the other may be linked, each with the next; those of one person are few.
MOST_ROUNDS = 50


def of(some: DataFrame, rows: DataFrame) -> DataFrame:
    """Those of the rows that have the keys of some."""
    return rows.join(some.select(*KEY), list(KEY), "left_semi")


def linked_with(told: DataFrame, before: DataFrame, held: DataFrame, rows: Rows) -> DataFrame:
    """The held records that are linked with those that changed, by what these say now or said before, and with one
    another.

    Links count here that join nobody, since whom an email joins depends on all who hold it. So whatever is not found
    comes out as it is.
    """
    found = told.select(*KEY)
    new = seen = rows.together(_links(told), _links(before)).distinct().localCheckpoint()
    near = []
    for _ in range(MOST_ROUNDS):
        more = rows.gathered(_with_links(held).join(rows.sent(new), "link", "left_semi").drop("link"))
        more = more.join(found, list(KEY), "left_anti").dropDuplicates(list(KEY)).localCheckpoint()
        near.append(more)
        new = _links(more).distinct().join(seen, "link", "left_anti").localCheckpoint()
        if new.isEmpty():
            return rows.together(*near)
        seen, found = rows.together(seen, new), rows.together(found, more.select(*KEY))
    raise _too_long()


def _with_links(records: DataFrame) -> DataFrame:
    return records.withColumn("link", F.explode(F.array("number", "email")))


def _links(records: DataFrame) -> DataFrame:
    return _with_links(records).select("link").where("link is not null")


def _too_long() -> LakeError:
    return LakeError(
        f"silver/customer_identities: records are linked one after the other through more than {MOST_ROUNDS} emails, "
        "which are not one person's; look for emails that many records hold, as docs/customers.md says, and mend them "
        "where they come from"
    )


def customer_of_each(records: DataFrame) -> DataFrame:
    """The records with `customer_id` and `matched_by`; none of them is linked with one that is not among them."""
    joined = records.join(joined_numbers(shared_emails(records)), "number", "left")
    found = joined.withColumn("found", F.coalesce("joined", "number")).drop("joined")
    together = _kept_apart(found)
    age = F.struct(F.col("created_at").isNull(), "created_at", _rank(), "source_id", "system")
    # All of a customer lie together already, so none of these windows moves rows.
    told = together.withColumn("age", age).withColumns(
        {
            "oldest": F.min("age").over(Window.partitionBy("found", "customer")),
            "first_of_number": F.min("age").over(Window.partitionBy("found", "customer", "number")),
        }
    )
    return told.select(
        *records.columns,
        customer_id(F.col("oldest.system"), F.col("oldest.source_id")).alias("customer_id"),
        _why().alias("matched_by"),
    )


def customer_id(system: SparkColumn, source_id: SparkColumn) -> SparkColumn:
    """The id of the customer that is named after a record; it looks like no id of a system."""
    return F.concat(F.lit("cus_"), F.left(F.sha2(F.concat_ws(":", system, source_id), 256), F.lit(24)))


def _rank() -> SparkColumn:
    return F.array_position(F.array(*map(F.lit, SYSTEMS)), F.col("system"))


def _kept_apart(found: DataFrame) -> DataFrame:
    """With `customer`: the numbers that emails brought together, or each alone where two of them are contacts."""
    contact = F.when(F.col("system") == PEOPLE, F.col("number"))
    of_all = Window.partitionBy("found")
    has_two = F.min(contact).over(of_all) < F.max(contact).over(of_all)
    return found.withColumn("customer", F.when(has_two, F.col("number")).otherwise(F.col("found")))


def _why() -> SparkColumn:
    age, oldest, first = F.col("age"), F.col("oldest"), F.col("first_of_number")
    is_converted = (F.col("system") == LEADS_OF_CRM) & (F.col("number") != F.col("source_id"))
    became = (F.col("system") == PEOPLE) & (first["system"] == LEADS_OF_CRM)
    return (
        F.when(age == oldest, "itself")
        .when(age == first, "email")
        .when(is_converted | became, "conversion")
        .otherwise("id")
    )


def shared_emails(records: DataFrame) -> DataFrame:
    """The emails that join numbers, with these numbers. None joins anybody that

    - is a mailbox of a function (`ROLES`),
    - is held by more than `MOST_NUMBERS` numbers,
    - is held by the numbers of two contacts, or of two customers in the shop: who keeps those tells people apart,
    - is held under first names that differ, where none is the beginning of the other.
    """
    is_role = F.split("email", "@")[0].isin(*ROLES)
    holding = records.where(F.col("email").isNotNull() & ~is_role)
    several = (
        holding.groupBy("email").agg((F.min("number") < F.max("number")).alias("several")).where("several")
    )
    holders = (
        holding.join(several.select("email"), "email", "left_semi")
        .groupBy("email", "number")
        .agg(F.bool_or(F.col("system") == SHOP).alias("is_in_shop"))
    )
    judged = holders.join(_numbers(records), "number").groupBy("email")
    numbers = judged.agg(
        F.count("*").alias("numbers"),
        F.count_if("is_contact").alias("contacts"),
        F.count_if("is_in_shop").alias("customers"),
        F.collect_set("given_name").alias("names"),
        F.max_by("given_name", F.length("given_name")).alias("longest"),
    )
    agree = F.forall("names", lambda name: F.col("longest").startswith(name))
    counts = f"numbers <= {MOST_NUMBERS} and contacts <= 1 and customers <= 1"
    joining = numbers.where(F.expr(counts) & agree).select("email")
    return holders.select("email", "number").join(joining, "email", "left_semi")


def _numbers(records: DataFrame) -> DataFrame:
    """Of each number: whether the CRM has a contact of it, and the first name by whom to believe first."""
    named = F.when(F.col("given_name").isNotNull(), F.struct(_rank().alias("rank"), "given_name"))
    return records.groupBy("number").agg(
        F.bool_or(F.col("system") == PEOPLE).alias("is_contact"),
        F.min(named)["given_name"].alias("given_name"),
    )


def joined_numbers(shared: DataFrame) -> DataFrame:
    """Of each number that shares an email, `joined`: the least number that it is linked with, through others too.

    The least number known so far is told on from number to email to number, until nobody learns anything.
    """
    told = shared.withColumn("joined", F.col("number")).localCheckpoint()
    for _ in range(MOST_ROUNDS):
        by_email = F.min("joined").over(Window.partitionBy("email"))
        least = told.withColumn("heard", by_email)
        least = least.withColumn("heard", F.min("heard").over(Window.partitionBy("number"))).localCheckpoint()
        if least.where("heard < joined").isEmpty():
            return told.select("number", "joined").distinct()
        told = least.select("email", "number", F.col("heard").alias("joined"))
    raise _too_long()
