"""Rows of the CRM, made many at a time: accounts, contacts, leads, opportunities.

Salesforce keeps no empty text: what is not there is null, in every column.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.world import pools
from sandbox.world.ids import id_with_checksum, record_ids

Columns = dict[str, list[Any]]
Random = np.random.Generator
Moments = npt.NDArray[np.int64]

PREFIXES = {"accounts": "001", "contacts": "003", "leads": "00Q", "opportunities": "006", "campaigns": "701"}
USERS = [id_with_checksum(f"005Hs0000000{n:03d}") for n in range(1, 21)]
# The columns that hold moments, as seconds since 1970.
MOMENTS = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class Batch:
    """When each of the rows was created and last touched, and from which number on their Ids run."""

    random: Random
    first: int
    created: Moments
    modified: Moments

    def __len__(self) -> int:
        return len(self.created)

    def draw(self, pool: Sequence[Any], missing: float = 0.0) -> list[Any]:
        """One of the pool for each row, and null for a share of them."""
        values = np.empty(len(pool) + 1, dtype=object)
        values[:-1] = pool
        picked = self.random.integers(0, len(pool), len(self))
        if missing:
            picked[self.random.random(len(self)) < missing] = len(pool)
        drawn: list[Any] = values[picked].tolist()
        return drawn


@cache
def pool(name: str) -> Sequence[Any]:
    """The larger pools, made once."""
    makers: dict[str, Callable[[], Sequence[Any]]] = {
        "companies": pools.companies,
        "streets": pools.streets,
        "phones": pools.phones,
        "revenues": lambda: pools.amounts(50_000, 500_000_000),
        "amounts": lambda: pools.amounts(500, 20_000_000),
        "postal codes": lambda: [(place, place[3].format(n)) for place in pools.PLACES for n in range(1, 10)],
        "birthdays": lambda: [date(1950, 1, 1) + timedelta(days=5 * n) for n in range(3_600)],
        "people": lambda: [(first, last) for first in pools.FIRST_NAMES for last in pools.LAST_NAMES],
        "mailboxes": lambda: [f"{pools.slug(first)}.{pools.slug(last)}" for first, last in pool("people")],
        "hosts": lambda: [
            f"{pools.slug(company.rsplit(' ', 1)[0])}.example" for company in pool("companies")
        ],
    }
    return makers[name]()


def keeping(table: str, batch: Batch) -> Columns:
    """What Salesforce itself keeps about every record."""
    created: list[int] = batch.created.tolist()
    modified: list[int] = batch.modified.tolist()
    return {
        "Id": record_ids(PREFIXES[table], batch.first, len(batch)),
        "OwnerId": batch.draw(USERS),
        "IsDeleted": [False] * len(batch),
        "CreatedDate": created,
        "CreatedById": batch.draw(USERS),
        "LastModifiedDate": modified,
        "LastModifiedById": batch.draw(USERS),
        "SystemModstamp": list(modified),
    }


def address(batch: Batch, prefix: str, missing: float) -> Columns:
    drawn = batch.draw(pool("postal codes"), missing)
    streets = batch.draw(pool("streets"))
    return {
        f"{prefix}Street": [street if place else None for street, place in zip(streets, drawn, strict=True)],
        f"{prefix}City": [each[0][0] if each else None for each in drawn],
        f"{prefix}State": [each[0][1] if each else None for each in drawn],
        f"{prefix}PostalCode": [each[1] if each else None for each in drawn],
        f"{prefix}Country": [each[0][2] if each else None for each in drawn],
    }


def person(batch: Batch) -> Columns:
    """A name, and an email that no other person has."""
    drawn = batch.random.integers(0, len(pool("people")), len(batch)).tolist()
    hosts = batch.draw(pool("hosts"), missing=0.08)
    people, mailboxes = pool("people"), pool("mailboxes")
    names = [f"{first} {last}" for first, last in people]
    numbered = zip(drawn, hosts, range(batch.first, batch.first + len(batch)), strict=True)
    return {
        "FirstName": [people[each][0] for each in drawn],
        "LastName": [people[each][1] for each in drawn],
        "Name": [names[each] for each in drawn],
        "Title": batch.draw(pools.TITLES, missing=0.2),
        "Email": [f"{mailboxes[each]}{number}@{host}" if host else None for each, host, number in numbered],
        "Phone": batch.draw(pool("phones"), missing=0.1),
        "MobilePhone": batch.draw(pool("phones"), missing=0.5),
    }


def segment(revenue: Decimal | None, day: int) -> str:
    """The formula Segment__c. Its thresholds sink day by day, and no SystemModstamp tells of it."""
    market = Decimal("0.95") ** day
    if revenue is not None and revenue >= 50_000_000 * market:
        return "Enterprise"
    if revenue is not None and revenue >= 2_000_000 * market:
        return "Mid-market"
    return "Small business"


def accounts(batch: Batch, day: int) -> Columns:
    companies, hosts = pool("companies"), pool("hosts")
    drawn = batch.random.integers(0, len(companies), len(batch)).tolist()
    kept = keeping("accounts", batch)
    revenues = batch.draw(pool("revenues"), missing=0.1)
    segments = {revenue: segment(revenue, day) for revenue in set(revenues)}
    # A subsidiary's parent is an older account.
    parents = (np.arange(len(batch)) * batch.random.random(len(batch))).astype(int).tolist()
    has_parent = (batch.random.random(len(batch)) < 0.05).tolist()
    return {
        **kept,
        "Name": [companies[each] for each in drawn],
        "AccountNumber": [f"AC-{batch.first + n:06d}" for n in range(len(batch))],
        "Type": batch.draw(pools.ACCOUNT_TYPES, missing=0.05),
        "ParentId": [
            kept["Id"][parent] if has and parent != n else None
            for n, (parent, has) in enumerate(zip(parents, has_parent, strict=True))
        ],
        "Industry": batch.draw(pools.INDUSTRIES, missing=0.1),
        "AnnualRevenue": revenues,
        "NumberOfEmployees": batch.draw(range(1, 5_000), missing=0.15),
        "Phone": batch.draw(pool("phones"), missing=0.1),
        "Website": [f"https://www.{hosts[each]}" for each in drawn],
        **address(batch, "Billing", missing=0.05),
        **address(batch, "Shipping", missing=0.5),
        "Rating": batch.draw(pools.RATINGS, missing=0.4),
        "AccountSource": batch.draw(pools.LEAD_SOURCES, missing=0.2),
        "Segment__c": [segments[revenue] for revenue in revenues],
        "Description": batch.draw(pools.DESCRIPTIONS, missing=0.6),
    }


def contacts(batch: Batch, account_ids: Sequence[str]) -> Columns:
    return {
        **keeping("contacts", batch),
        **person(batch),
        "AccountId": batch.draw(account_ids),
        "Department": batch.draw(pools.DEPARTMENTS, missing=0.3),
        **address(batch, "Mailing", missing=0.2),
        "Birthdate": batch.draw(pool("birthdays"), missing=0.8),
        "LeadSource": batch.draw(pools.LEAD_SOURCES, missing=0.1),
    }


def opportunities(batch: Batch, account_ids: Sequence[str]) -> Columns:
    count = len(batch)
    stages = batch.random.integers(0, len(pools.STAGES), count).tolist()
    amounts = batch.draw(pool("amounts"), missing=0.04)
    days = (batch.created // 86_400 + batch.random.integers(10, 200, count)).tolist()
    dates = {day: FIRST_DAY + timedelta(days=day) for day in set(days)}
    return {
        **keeping("opportunities", batch),
        "AccountId": batch.draw(account_ids, missing=0.01),
        "Name": [f"Deal {batch.first + n}" for n in range(count)],
        "Description": batch.draw(pools.DESCRIPTIONS, missing=0.7),
        "Amount": amounts,
        "CurrencyIsoCode": batch.draw(pools.CURRENCIES),
        "CloseDate": [dates[day] for day in days],
        "Type": batch.draw(pools.OPPORTUNITY_TYPES, missing=0.1),
        "NextStep": batch.draw(pools.NEXT_STEPS, missing=0.5),
        "LeadSource": batch.draw(pools.LEAD_SOURCES, missing=0.1),
        **stage_columns(stages, amounts),
    }


def stage_columns(stages: Sequence[int], amounts: Sequence[Decimal | None]) -> Columns:
    """What follows from a deal's stage: how likely it is, what is expected of it, whether it is over."""
    return {
        "StageName": [pools.STAGES[stage][0] for stage in stages],
        "Probability": [pools.STAGES[stage][1] for stage in stages],
        "ExpectedRevenue": [
            None if amount is None else (amount * int(pools.STAGES[stage][1]) / 100).quantize(Decimal("0.01"))
            for stage, amount in zip(stages, amounts, strict=True)
        ],
        "IsClosed": [stage >= 5 for stage in stages],
        "IsWon": [stage == 5 for stage in stages],
        "ForecastCategoryName": [pools.STAGES[stage][2] for stage in stages],
    }


def leads(batch: Batch) -> Columns:
    count = len(batch)
    companies = batch.draw(pool("companies"))
    return {
        **keeping("leads", batch),
        **person(batch),
        "Company": companies,
        "Website": batch.draw([f"http://{host}" for host in pool("hosts")], missing=0.4),
        **address(batch, "", missing=0.3),
        "LeadSource": batch.draw(pools.LEAD_SOURCES, missing=0.05),
        "Status": batch.draw(pools.OPEN_LEAD_STATUSES),
        "Rating": batch.draw(pools.RATINGS, missing=0.4),
        "Industry": batch.draw(pools.INDUSTRIES, missing=0.2),
        "AnnualRevenue": batch.draw(pool("revenues"), missing=0.4),
        "NumberOfEmployees": batch.draw(range(1, 5_000), missing=0.3),
        "Description": batch.draw(pools.DESCRIPTIONS, missing=0.7),
        "IsConverted": [False] * count,
        "ConvertedDate": [None] * count,
        "ConvertedAccountId": [None] * count,
        "ConvertedContactId": [None] * count,
        "ConvertedOpportunityId": [None] * count,
    }


def campaigns(batch: Batch) -> Columns:
    """Salesforce has them and the platform does not land them: a table to add."""
    starts = [FIRST_DAY + timedelta(days=day) for day in (batch.created // 86_400).tolist()]
    return {
        **keeping("campaigns", batch),
        "Name": [f"Campaign {batch.first + n}" for n in range(len(batch))],
        "Type": batch.draw(pools.LEAD_SOURCES),
        "Status": batch.draw(pools.CAMPAIGN_STATUSES),
        "StartDate": starts,
        "EndDate": [start + timedelta(days=30) for start in starts],
        "BudgetedCost": batch.draw(pool("amounts"), missing=0.1),
        "ActualCost": batch.draw(pool("amounts"), missing=0.2),
        "IsActive": batch.draw((True, False)),
        "Description": batch.draw(pools.DESCRIPTIONS, missing=0.5),
    }
