"""What is landed from Salesforce, in its own names. How it is read: connectors/salesforce."""

from datetime import date, timedelta

from data_platform.declarations import (
    BOOLEAN,
    DAILY,
    DATE,
    DECIMAL,
    DOUBLE,
    ERROR,
    HOURLY,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    WARN,
    Column,
    Incremental,
    Normalise,
    Personal,
    Snapshot,
    SourceTable,
    at_least,
    between,
    days,
    holds,
    is_email,
    not_ahead,
    not_before,
    not_null,
    one_of,
    years,
)

# Many rows share a SystemModstamp and some appear late: read the edge again, what landed already is left out.
# Formulas change without moving it, so once a week every row that has one is compared.
BY_MODSTAMP = Incremental(cursor="SystemModstamp", overlap=timedelta(minutes=10), reread_every=days(7))


def by_appflow(name: str) -> Snapshot:
    """The files of the object's flow, which write the same fields under the same names; deleted records are flagged."""
    return Snapshot(prefix=f"raw/salesforce/{name}/", deleted="IsDeleted")


MONEY = DECIMAL(18, 2)
OWNER = Column(
    "OwnerId", STRING, personal=Personal.USER, description="The user or queue that owns the record."
)

# What Salesforce keeps about every record.
RECORD = (
    Column("IsDeleted", BOOLEAN, silver="", description="In the recycle bin; bronze says so in _op too."),
    Column("CreatedDate", TIMESTAMP, silver="created_at", rule=not_ahead(timedelta(minutes=5))),
    Column("CreatedById", STRING, personal=Personal.USER),
    Column("LastModifiedDate", TIMESTAMP, silver="last_modified_at"),
    Column("LastModifiedById", STRING, personal=Personal.USER),
    Column(
        "SystemModstamp",
        TIMESTAMP,
        required=True,
        description="When a user or a process last changed the record.",
    ),
)


def address(prefix: str = "") -> tuple[Column, ...]:
    """The parts of an address, and the compound that holds them all; silver takes the parts."""
    parts = ("Street", "City", "State", "PostalCode", "Country")
    return (
        *(Column(f"{prefix}{part}", STRING, personal=Personal.ADDRESS) for part in parts),
        Column(f"{prefix}Address", JSON, personal=Personal.ADDRESS, silver=""),
    )


LEADS = SourceTable(
    system="salesforce",
    name="leads",
    reads="Lead",
    files=by_appflow("Lead"),
    description="People and companies that might become customers.",
    key=("Id",),
    load=BY_MODSTAMP,
    every=HOURLY,
    owner="team:revenue",
    keep_for=years(7),
    restricted=True,
    columns=(
        Column("Id", STRING, required=True, personal=Personal.LEAD, silver="lead_id"),
        Column("FirstName", STRING, personal=Personal.NAME),
        Column("LastName", STRING, personal=Personal.NAME, rule=not_null(WARN)),
        Column("Name", STRING, personal=Personal.NAME, silver="full_name"),
        Column("Title", STRING),
        Column("Company", STRING, personal=Personal.NAME),
        Column("Email", STRING, personal=Personal.EMAIL, normalise=Normalise.LOWER, rule=is_email(ERROR)),
        Column("Phone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("MobilePhone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("Website", STRING),
        *address(),
        Column("LeadSource", STRING),
        Column(
            "Status",
            STRING,
            rule=(
                not_null(WARN),
                one_of(
                    "Open - Not Contacted",
                    "Working - Contacted",
                    "Closed - Converted",
                    "Closed - Not Converted",
                ),
            ),
        ),
        Column("Rating", STRING),
        Column("Industry", STRING),
        Column("AnnualRevenue", MONEY, sensitive=True, rule=at_least(0)),
        Column("NumberOfEmployees", INTEGER, rule=at_least(0, WARN)),
        Column("Description", STRING, personal=Personal.FREE_TEXT),
        OWNER,
        Column("IsConverted", BOOLEAN),
        Column("ConvertedDate", DATE, rule=not_before(date(2000, 1, 1), WARN)),
        Column("ConvertedAccountId", STRING, personal=Personal.ACCOUNT),
        Column("ConvertedContactId", STRING, personal=Personal.CONTACT),
        Column("ConvertedOpportunityId", STRING),
        *RECORD,
    ),
    rules=(
        holds(
            "converted_has_account",
            "not coalesce({IsConverted}, false) or {ConvertedAccountId} is not null",
            "a converted lead names the account it became",
        ),
    ),
)

OPPORTUNITIES = SourceTable(
    system="salesforce",
    name="opportunities",
    reads="Opportunity",
    files=by_appflow("Opportunity"),
    description="Deals, from the first talk to won or lost.",
    key=("Id",),
    load=BY_MODSTAMP,
    every=HOURLY,
    owner="team:revenue",
    keep_for=years(7),
    restricted=True,
    columns=(
        Column("Id", STRING, required=True, silver="opportunity_id"),
        Column("AccountId", STRING, personal=Personal.ACCOUNT),
        Column("Name", STRING, silver="opportunity_name"),
        Column("Description", STRING, personal=Personal.FREE_TEXT),
        Column("StageName", STRING, silver="stage", rule=not_null(WARN)),
        Column("Amount", MONEY, sensitive=True, rule=between(0, 1_000_000_000)),
        Column("CurrencyIsoCode", STRING, silver="currency", normalise=Normalise.UPPER),
        Column("Probability", DOUBLE, rule=between(0, 100, WARN)),
        Column("ExpectedRevenue", MONEY, sensitive=True),
        Column("CloseDate", DATE, rule=not_before(date(2000, 1, 1))),
        Column("Type", STRING, silver="opportunity_type"),
        Column("NextStep", STRING),
        Column("LeadSource", STRING),
        Column("IsClosed", BOOLEAN),
        Column("IsWon", BOOLEAN),
        Column("ForecastCategoryName", STRING, silver="forecast_category"),
        OWNER,
        *RECORD,
    ),
    rules=(
        holds(
            "won_is_closed",
            "not coalesce({IsWon}, false) or {IsClosed}",
            "a won deal is closed",
        ),
    ),
)

ACCOUNTS = SourceTable(
    system="salesforce",
    name="accounts",
    reads="Account",
    files=by_appflow("Account"),
    description="Companies we sell to or might.",
    key=("Id",),
    load=BY_MODSTAMP,
    every=DAILY,
    owner="team:revenue",
    keep_for=years(7),
    restricted=True,
    columns=(
        Column("Id", STRING, required=True, personal=Personal.ACCOUNT, silver="account_id"),
        Column("Name", STRING, silver="account_name", rule=not_null(WARN)),
        Column("AccountNumber", STRING),
        Column("Type", STRING, silver="account_type"),
        Column("ParentId", STRING, personal=Personal.ACCOUNT, silver="parent_account_id"),
        Column("Industry", STRING),
        Column("AnnualRevenue", MONEY, sensitive=True, rule=at_least(0)),
        Column("NumberOfEmployees", INTEGER, rule=at_least(0, WARN)),
        Column("Phone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("Website", STRING),
        *address("Billing"),
        *address("Shipping"),
        Column("Rating", STRING),
        Column("AccountSource", STRING),
        Column("Segment__c", STRING, description="A formula of ours on revenue; it moves no SystemModstamp."),
        Column("Description", STRING, personal=Personal.FREE_TEXT),
        OWNER,
        *RECORD,
    ),
)

CONTACTS = SourceTable(
    system="salesforce",
    name="contacts",
    reads="Contact",
    files=by_appflow("Contact"),
    description="People at the companies we sell to.",
    key=("Id",),
    load=BY_MODSTAMP,
    every=DAILY,
    owner="team:revenue",
    keep_for=years(7),
    restricted=True,
    columns=(
        Column("Id", STRING, required=True, personal=Personal.CONTACT, silver="contact_id"),
        Column("AccountId", STRING, personal=Personal.ACCOUNT, rule=not_null(WARN)),
        Column("FirstName", STRING, personal=Personal.NAME),
        Column("LastName", STRING, personal=Personal.NAME, rule=not_null(WARN)),
        Column("Name", STRING, personal=Personal.NAME, silver="full_name"),
        Column("Title", STRING),
        Column("Department", STRING),
        Column("Email", STRING, personal=Personal.EMAIL, normalise=Normalise.LOWER, rule=is_email(ERROR)),
        Column("Phone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("MobilePhone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        *address("Mailing"),
        Column("Birthdate", DATE, personal=Personal.FREE_TEXT, silver="birth_date"),
        Column("LeadSource", STRING),
        OWNER,
        *RECORD,
    ),
)

TABLES = (LEADS, OPPORTUNITIES, ACCOUNTS, CONTACTS)
