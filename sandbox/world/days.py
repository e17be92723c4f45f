"""What happens in the company: leads convert, deals move, accounts change, records come and go."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.world import crm, faults, pools
from sandbox.world.crm import FIRST_DAY, Columns
from sandbox.world.records import Records

if TYPE_CHECKING:
    from sandbox.world.company import World

DAY = timedelta(days=1)
NEW, CHANGED, DELETED = 0.01, 0.01, 0.001


def convert_history(leads: Columns, contacts: Columns, opportunities: Columns, accounts: Columns) -> None:
    """About a fifth of the leads became a contact and an opportunity of some account in time."""
    count = min(len(leads["Id"]) // 5, len(contacts["Id"]) // 3, len(opportunities["Id"]) // 3)
    share = np.linspace(0.1, 0.95, count)
    places = {
        id(table): (share * len(table["Id"])).astype(int).tolist() for table in (contacts, opportunities)
    }
    of_leads = ((share - 0.1) * len(leads["Id"])).astype(int).tolist()
    owners = dict(zip(accounts["Id"], accounts["CreatedDate"], strict=True))
    triples = zip(of_leads, places[id(contacts)], places[id(opportunities)], strict=True)
    for lead, contact, opportunity in triples:
        created = contacts["CreatedDate"][contact]
        if created < leads["CreatedDate"][lead] or created < owners[contacts["AccountId"][contact]]:
            continue
        values = converted(contacts, contact, opportunities["Id"][opportunity])
        modified = max(leads["SystemModstamp"][lead], created)
        for name, value in (values | dict.fromkeys(("LastModifiedDate", "SystemModstamp"), modified)).items():
            leads[name][lead] = value
        for name in ("FirstName", "LastName", "Name", "Email", "Phone", "MobilePhone", "Title"):
            contacts[name][contact] = leads[name][lead]
        opportunities["AccountId"][opportunity] = contacts["AccountId"][contact]


def converted(contacts: Columns, contact: int, opportunity_id: str) -> dict[str, Any]:
    """What a lead holds once it became this contact."""
    return {
        "Status": pools.CONVERTED,
        "IsConverted": True,
        "ConvertedDate": FIRST_DAY + timedelta(days=contacts["CreatedDate"][contact] // 86_400),
        "ConvertedAccountId": contacts["AccountId"][contact],
        "ConvertedContactId": contacts["Id"][contact],
        "ConvertedOpportunityId": opportunity_id,
    }


def live_through(world: "World") -> None:
    """The day that ends at the world's clock."""
    random = world.random(world.day, 100)
    before = {table: len(records) for table, records in world.tables.items()}
    _records_appear(world)
    _leads_convert(world, random, before)
    for table, count in before.items():
        chosen = _untouched(world, table, count, random)
        changed, deleted = max(1, round(count * CHANGED)), max(1, round(count * DELETED))
        _change(world, table, chosen[:changed], random)
        _restore_some(world, table)
        _delete(world, table, chosen[changed : changed + deleted], random)
    _formula_drifts(world)
    faults.plant_day(world)


def _records_appear(world: "World") -> None:
    def batch(table: str) -> crm.Batch:
        return world.batch(table, max(2, round(len(world.tables[table]) * NEW)), within=DAY, ties=0.3)

    accounts = world.tables["accounts"]
    accounts.append(crm.accounts(batch("accounts"), world.day))
    world.tables["contacts"].append(crm.contacts(batch("contacts"), accounts.ids))
    world.tables["leads"].append(crm.leads(batch("leads")))
    world.tables["opportunities"].append(crm.opportunities(batch("opportunities"), accounts.ids))
    world.tables["campaigns"].append(crm.campaigns(batch("campaigns")))


def _leads_convert(world: "World", random: np.random.Generator, before: dict[str, int]) -> None:
    """A few older leads become today's first new contacts, with an opportunity each."""
    contacts, opportunities, leads = (world.tables[table] for table in ("contacts", "opportunities", "leads"))
    open_leads = [p for p in _untouched(world, "leads", before["leads"], random) if _is_open(leads, p)]
    for number, lead in enumerate(open_leads[: max(1, before["contacts"] // 500)]):
        contact, opportunity = before["contacts"] + number, before["opportunities"] + number
        if contact >= len(contacts) or opportunity >= len(opportunities):
            return
        same = ("FirstName", "LastName", "Name", "Email", "Phone", "MobilePhone", "Title")
        contacts.change([contact], **{name: leads.columns[name][lead] for name in same})
        opportunities.change([opportunity], AccountId=contacts.columns["AccountId"][contact])
        stamp = contacts.columns["CreatedDate"][contact]
        values = converted(contacts.columns, contact, opportunities.ids[opportunity])
        leads.change([lead], **values, LastModifiedDate=stamp, SystemModstamp=stamp)


def _is_open(leads: Records, place: int) -> bool:
    return not leads.columns["IsConverted"][place] and not leads.columns["IsDeleted"][place]


def _untouched(world: "World", table: str, count: int, random: np.random.Generator) -> list[int]:
    """Rows in random order that carry no planted fault, are not deleted and did not change today."""
    records = world.tables[table]
    planted = {each for ids in world.planted_ids[table].values() for each in ids}
    today = world.clock - int(DAY.total_seconds())
    wanted = min(count, max(50, round(count * 0.05)))
    return [
        place
        for place in random.permutation(count)[:wanted].tolist()
        if records.ids[place] not in planted
        and not records.columns["IsDeleted"][place]
        and records.columns["SystemModstamp"][place] < today
    ]


def _change(world: "World", table: str, places: Sequence[int], random: np.random.Generator) -> None:
    """Half change one by one over the day, half in one bulk update."""
    records = world.tables[table]
    stamps = _stamps(world, len(places), random)
    for number, (place, stamp) in enumerate(zip(places, stamps, strict=True)):
        values = _new_values(records, table, place, number)
        records.change([place], **values, LastModifiedDate=stamp, SystemModstamp=stamp)


def _stamps(world: "World", count: int, random: np.random.Generator) -> list[int]:
    spread = random.integers(world.clock - 80_000, world.clock - 600, count)
    spread[count // 2 :] = world.clock - 7_200
    stamps: list[int] = spread.tolist()
    return stamps


def _new_values(records: Records, table: str, place: int, number: int) -> dict[str, Any]:
    columns = records.columns
    match table:
        case "leads" if columns["IsConverted"][place]:
            return {"Rating": pools.RATINGS[number % 3]}
        case "leads":
            return {"Status": pools.OPEN_LEAD_STATUSES[number % 3], "Rating": pools.RATINGS[number % 3]}
        case "opportunities":
            stage, amount = number % len(pools.STAGES), crm.pool("amounts")[number * 37 % 4_000]
            return {"Amount": amount} | {
                name: one[0] for name, one in crm.stage_columns([stage], [amount]).items()
            }
        case "contacts":
            return {"Phone": crm.pool("phones")[number], "Title": pools.TITLES[number % 8]}
        case "campaigns":
            return {"ActualCost": crm.pool("amounts")[number * 41 % 4_000]}
        case _:
            revenue = crm.pool("revenues")[number * 53 % 4_000]
            city, state, country, postal = pools.PLACES[number % len(pools.PLACES)]
            return {
                "AnnualRevenue": revenue,
                "BillingStreet": crm.pool("streets")[number],
                "BillingCity": city,
                "BillingState": state,
                "BillingCountry": country,
                "BillingPostalCode": postal.format(number % 9 + 1),
            }


def _delete(world: "World", table: str, places: Sequence[int], random: np.random.Generator) -> None:
    records = world.tables[table]
    for place, stamp in zip(places, _stamps(world, len(places), random), strict=True):
        records.change([place], IsDeleted=True, LastModifiedDate=stamp, SystemModstamp=stamp)
        records.deleted_at[place] = stamp
        faults.note(world, table, "deleted", [place])


def _restore_some(world: "World", table: str) -> None:
    """Some of what was deleted on earlier days comes back."""
    records = world.tables[table]
    for place in sorted(set(records.deleted_at) - records.purged)[::8]:
        stamp = world.clock - 3_600
        if records.deleted_at[place] < stamp - 86_400 * 14:
            continue
        del records.deleted_at[place]
        records.change([place], IsDeleted=False, LastModifiedDate=stamp, SystemModstamp=stamp)
        world.planted_ids[table]["deleted"].remove(records.ids[place])
        faults.note(world, table, "undeleted", [place])


def _formula_drifts(world: "World") -> None:
    """Every account's segment is computed anew; where it moved, nothing else tells."""
    accounts = world.tables["accounts"]
    revenues, held = accounts.columns["AnnualRevenue"], accounts.columns["Segment__c"]
    segments = {revenue: crm.segment(revenue, world.day) for revenue in set(revenues)}
    for place, revenue in enumerate(revenues):
        if held[place] != segments[revenue]:
            accounts.change([place], Segment__c=segments[revenue])
