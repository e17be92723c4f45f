"""The objects and fields that the stand-in shows, with the vendor's types, lengths and labels."""

from dataclasses import dataclass, field, replace

# Types whose value is text in JSON.
NUMBERS = ("int", "double", "currency", "percent")
TEXTS = ("id", "reference", "string", "email", "phone", "url", "textarea", "picklist")


@dataclass(frozen=True)
class Field:
    """One field, as describe tells of it."""

    name: str
    type: str = "string"
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    # A formula: it changes without moving SystemModstamp.
    calculated: bool = False
    # The compound that this field is a part of.
    compound: str | None = None
    refers_to: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        words = "".join(f" {c}" if c.isupper() else c for c in self.name.removesuffix("__c")).strip()
        return words.removesuffix(" Id") + " ID" if words.endswith(" Id") else words

    @property
    def is_long(self) -> bool:
        """Long text and compounds can be read, and neither filtered nor sorted by."""
        return self.type == "address" or (self.type == "textarea" and self.length > 255)


@dataclass
class SObject:
    """An object of the org, kept in the company's `table`. Its fields can change while the server runs."""

    name: str
    prefix: str
    table: str
    label: str
    plural: str
    fields: dict[str, Field] = field(default_factory=dict)

    def field(self, name: str) -> Field | None:
        """Names are told apart without regard to case."""
        return self.fields.get(name) or next(
            (f for f in self.fields.values() if f.name.lower() == name.lower()), None
        )


def text(name: str, length: int = 255, compound: str | None = None) -> Field:
    return Field(name, length=length, compound=compound)


def picklist(name: str) -> Field:
    return Field(name, "picklist", length=255)


def reference(name: str, *to: str, nillable: bool = True) -> Field:
    return Field(name, "reference", length=18, nillable=nillable, refers_to=to)


def money(name: str) -> Field:
    return Field(name, "currency", precision=18, scale=2)


def flag(name: str) -> Field:
    return Field(name, "boolean", nillable=False)


def address(prefix: str = "") -> tuple[Field, ...]:
    compound = f"{prefix}Address"
    return (
        Field(f"{prefix}Street", "textarea", length=255, compound=compound),
        text(f"{prefix}City", 40, compound=compound),
        text(f"{prefix}State", 80, compound=compound),
        text(f"{prefix}PostalCode", 20, compound=compound),
        text(f"{prefix}Country", 80, compound=compound),
        Field(compound, "address"),
    )


LONG_TEXT = Field("Description", "textarea", length=32_000)
WHOLE_NUMBER = Field("NumberOfEmployees", "int", precision=8)
ID = Field("Id", "id", length=18, nillable=False)
RECORD = (
    reference("OwnerId", "Group", "User", nillable=False),
    flag("IsDeleted"),
    Field("CreatedDate", "datetime", nillable=False),
    reference("CreatedById", "User", nillable=False),
    Field("LastModifiedDate", "datetime", nillable=False),
    reference("LastModifiedById", "User", nillable=False),
    Field("SystemModstamp", "datetime", nillable=False),
)
PERSON = (
    text("LastName", 80, compound="Name"),
    text("FirstName", 40, compound="Name"),
    Field("Name", length=121, nillable=False),
    text("Title", 128),
    Field("Email", "email", length=80),
    Field("Phone", "phone", length=40),
    Field("MobilePhone", "phone", length=40),
)

LEAD = (
    ID,
    *PERSON,
    text("Company"),
    Field("Website", "url", length=255),
    *address(),
    picklist("LeadSource"),
    picklist("Status"),
    picklist("Rating"),
    picklist("Industry"),
    money("AnnualRevenue"),
    WHOLE_NUMBER,
    LONG_TEXT,
    flag("IsConverted"),
    Field("ConvertedDate", "date"),
    reference("ConvertedAccountId", "Account"),
    reference("ConvertedContactId", "Contact"),
    reference("ConvertedOpportunityId", "Opportunity"),
    *RECORD,
)
CONTACT = (
    ID,
    reference("AccountId", "Account"),
    *PERSON,
    text("Department", 80),
    *address("Mailing"),
    Field("Birthdate", "date"),
    picklist("LeadSource"),
    *RECORD,
)
ACCOUNT = (
    ID,
    text("Name"),
    text("AccountNumber", 40),
    picklist("Type"),
    reference("ParentId", "Account"),
    picklist("Industry"),
    money("AnnualRevenue"),
    WHOLE_NUMBER,
    Field("Phone", "phone", length=40),
    Field("Website", "url", length=255),
    *address("Billing"),
    *address("Shipping"),
    picklist("Rating"),
    picklist("AccountSource"),
    replace(text("Segment__c", 1_300), calculated=True),
    LONG_TEXT,
    *RECORD,
)
OPPORTUNITY = (
    ID,
    reference("AccountId", "Account"),
    text("Name", 120),
    LONG_TEXT,
    picklist("StageName"),
    money("Amount"),
    picklist("CurrencyIsoCode"),
    Field("Probability", "percent", precision=3),
    money("ExpectedRevenue"),
    Field("CloseDate", "date", nillable=False),
    picklist("Type"),
    text("NextStep"),
    picklist("LeadSource"),
    flag("IsClosed"),
    flag("IsWon"),
    picklist("ForecastCategoryName"),
    *RECORD,
)

CAMPAIGN = (
    ID,
    text("Name", 80),
    picklist("Type"),
    picklist("Status"),
    Field("StartDate", "date"),
    Field("EndDate", "date"),
    money("BudgetedCost"),
    money("ActualCost"),
    flag("IsActive"),
    LONG_TEXT,
    *RECORD,
)


def objects() -> dict[str, SObject]:
    """The org as it was installed, by name in lower case."""
    listed = (
        ("Account", "001", "accounts", "Accounts", ACCOUNT),
        ("Contact", "003", "contacts", "Contacts", CONTACT),
        ("Lead", "00Q", "leads", "Leads", LEAD),
        ("Opportunity", "006", "opportunities", "Opportunities", OPPORTUNITY),
        ("Campaign", "701", "campaigns", "Campaigns", CAMPAIGN),
    )
    return {
        name.lower(): SObject(name, prefix, table, name, plural, {each.name: each for each in fields})
        for name, prefix, table, plural, fields in listed
    }
