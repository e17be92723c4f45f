"""The faults that are planted in the company's records, in known numbers: what the platform has to find."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.world import pools

if TYPE_CHECKING:
    from sandbox.world.company import World

# How many rows in a thousand of a table carry a fault on day 0; never less than one row.
PER_THOUSAND = {
    "leads": {
        "duplicate_email": 6,
        "bad_email": 4,
        "negative_revenue": 2,
        "unknown_status": 3,
        "converted_without_account": 2,
        # The same person once more: whom `World.same_person` says.
        "of_contact": 8,
        "entered_twice": 4,
    },
    "contacts": {
        "bad_email": 3,
        "other_case_email": 5,
        "changed_email": 3,
        # People of their own, who read a mailbox together.
        "family_email": 4,
        "role_email": 4,
    },
    "opportunities": {"negative_amount": 4, "huge_amount": 2},
    "accounts": {"negative_revenue": 4},
    "campaigns": {},
}
# Whose email is that of the row before.
OF_THE_ROW_BEFORE = ("duplicate_email", "entered_twice", "family_email")
DELETED_PER_THOUSAND = 10
UNDELETED_PER_THOUSAND = 3


def note(world: "World", table: str, fault: str, places: Sequence[int]) -> None:
    ids = world.tables[table].ids
    world.planted_ids[table].setdefault(fault, []).extend(ids[place] for place in places)


def plant_history(world: "World") -> None:
    for number, table in enumerate(world.tables):
        _plant_table(world, table, number)


def plant_day(world: "World") -> None:
    """Each day brings a new lead with a bad email and a new opportunity with a negative amount, and an email goes from
    one contact to a new one."""
    _plant(world, "leads", "bad_email", [len(world.tables["leads"]) - 1])
    _plant(world, "opportunities", "negative_amount", [len(world.tables["opportunities"]) - 1])
    _move_email(world)


def _move_email(world: "World") -> None:
    """Systems that knew the one by it go on doing so."""
    contacts = world.tables["contacts"]
    emails, gone, heir = contacts.columns["Email"], contacts.columns["IsDeleted"], len(contacts) - 1
    free = unharmed(world, "contacts")
    known = [place for place in free if emails[place] and not gone[place] and place != heir]
    if not known or heir not in free:
        return
    left = known[world.day * 7_919 % len(known)]
    world.moved_emails[contacts.ids[left]] = emails[left]
    contacts.change([heir], Email=emails[left])
    stamp = world.clock - 300
    contacts.change(
        [left],
        Email=f"left{world.day}.{left}@elsewhere.example",
        LastModifiedDate=stamp,
        SystemModstamp=stamp,
    )
    note(world, "contacts", "moved_email", [left, heir])


def reachable(world: "World", table: str) -> list[int]:
    """Those of them with an email of their own; of leads, those that became no contact."""
    columns, ids = world.tables[table].columns, world.tables[table].ids
    emails, converted = columns["Email"], columns.get("IsConverted")
    held, known = Counter(emails), set(world.same_person.values())
    return [
        place
        for place in unharmed(world, table)
        if emails[place]
        and held[emails[place]] == 1
        and ids[place] not in known
        and not (converted and converted[place])
    ]


def unharmed(world: "World", table: str) -> list[int]:
    """The rows that carry no fault, in order."""
    planted = {each for ids in world.planted_ids[table].values() for each in ids}
    return [place for place, each in enumerate(world.tables[table].ids) if each not in planted]


def _plant_table(world: "World", table: str, number: int) -> None:
    """No row carries two faults: each is dealt from one shuffled pack."""
    size = len(world.tables[table])
    pack: list[int] = world.random(200, number).permutation(size).tolist()
    for fault, share in PER_THOUSAND[table].items():
        count = max(1, size * share // 1_000)
        fits = _fitting(world, table, fault)
        dealt = [place for place in pack if fits(place)][:count]
        _plant(world, table, fault, dealt)
        taken = set(dealt) | {place - 1 for place in dealt if fault in OF_THE_ROW_BEFORE}
        pack = [place for place in pack if place not in taken]
    deleted = max(1, size * DELETED_PER_THOUSAND // 1_000)
    undeleted = max(1, size * UNDELETED_PER_THOUSAND // 1_000)
    _delete_and_undelete(world, table, pack[:deleted], pack[deleted : deleted + undeleted])


def _fitting(world: "World", table: str, fault: str) -> Callable[[int], bool]:
    """Where a fault can be: not every row makes sense with every one."""
    columns = world.tables[table].columns
    match fault:
        case "unknown_status" | "bad_email" if table == "leads":
            return lambda place: not columns["IsConverted"][place]
        case "duplicate_email":
            # The lead before it gives the email; the two are no one's but theirs.
            return lambda place: (
                place % 2 == 1 and not columns["IsConverted"][place] and bool(columns["Email"][place - 1])
            )
        case "entered_twice" | "family_email":
            free = set(unharmed(world, table))
            # A family's first names differ, and someone who is entered twice is no one's contact yet.
            fits = _is_other if fault == "family_email" else _is_open
            return lambda place: (
                {place, place - 1} <= free and bool(columns["Email"][place - 1]) and fits(columns, place)
            )
        case "of_contact":
            return lambda place: not columns["IsConverted"][place]
        case "converted_without_account":
            return lambda place: bool(columns["IsConverted"][place])
        case "other_case_email" | "changed_email":
            were_leads = set(world.tables["leads"].columns["ConvertedContactId"]) - {None}
            return lambda place: bool(columns["Email"][place]) and columns["Id"][place] in were_leads
        case _:
            return lambda _: True


def _is_other(columns: dict[str, list[Any]], place: int) -> bool:
    one, other = columns["FirstName"][place - 1], columns["FirstName"][place]
    return not (one.startswith(other) or other.startswith(one))


def _is_open(columns: dict[str, list[Any]], place: int) -> bool:
    return not (columns["IsConverted"][place - 1] or columns["IsConverted"][place])


def _plant(world: "World", table: str, fault: str, places: Sequence[int]) -> None:
    records = world.tables[table]
    if fault in ("of_contact", "entered_twice"):
        _repeat_people(world, fault, places)
    else:
        for number, place in enumerate(places):
            records.change([place], **_faulty(records.columns, fault, place, number))
    note(world, table, fault, places)


def _repeat_people(world: "World", fault: str, places: Sequence[int]) -> None:
    """Leads take name and email of a contact who was no lead before, or of the lead before them."""
    leads, contacts = world.tables["leads"], world.tables["contacts"]
    were_leads = set(leads.columns["ConvertedContactId"])
    free = [
        place
        for place in unharmed(world, "contacts")
        if contacts.columns["Email"][place] and contacts.ids[place] not in were_leads
    ]
    for number, place in enumerate(places):
        # In a company of few contacts some are entered more than once.
        known, of = (contacts, free[number * 7 % len(free)]) if fault == "of_contact" else (leads, place - 1)
        names = ("FirstName", "LastName", "Name", "Email")
        leads.change([place], **{name: known.columns[name][of] for name in names})
        world.same_person[leads.ids[place]] = known.ids[of]


def _faulty(columns: dict[str, list[Any]], fault: str, place: int, number: int) -> dict[str, Any]:
    match fault:
        case "bad_email":
            return {"Email": pools.BAD_EMAILS[number % len(pools.BAD_EMAILS)].format(f"person{place}")}
        case "negative_revenue":
            values: dict[str, Any] = {"AnnualRevenue": Decimal(-100 * (number + 1)) - Decimal("0.50")}
            return values | ({"Segment__c": "Small business"} if "Segment__c" in columns else {})
        case "unknown_status":
            return {"Status": pools.UNKNOWN_STATUS}
        case "converted_without_account":
            return {"ConvertedAccountId": None}
        case "duplicate_email" | "family_email":
            return {"Email": columns["Email"][place - 1]}
        case "role_email":
            return {"Email": f"info@office{number // 2}.example"}
        case "other_case_email":
            return {"Email": columns["Email"][place].upper()}
        case "changed_email":
            return {"Email": f"moved{place}@elsewhere.example"}
        case "negative_amount":
            return {"Amount": Decimal(-1_000 * (number + 1))}
        case _:
            return {"Amount": Decimal("1000000000.01") * (number + 1)}


def _delete_and_undelete(world: "World", table: str, deleted: list[int], undeleted: list[int]) -> None:
    """Over the ten days before the epoch, so that all of it is still in the recycle bin."""
    records = world.tables[table]
    for number, place in enumerate(deleted):
        stamp = world.clock - 7_200 - number * 10 * 86_400 // len(deleted)
        records.change([place], IsDeleted=True, LastModifiedDate=stamp, SystemModstamp=stamp)
        records.deleted_at[place] = stamp
    for place in undeleted:
        stamp = world.clock - 3_600
        records.change([place], LastModifiedDate=stamp, SystemModstamp=stamp)
    note(world, table, "deleted", deleted)
    note(world, table, "undeleted", undeleted)
