"""The faults that are planted in the company's records, in known numbers: what the platform has to find."""

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
    },
    "contacts": {"bad_email": 3, "other_case_email": 5, "changed_email": 3},
    "opportunities": {"negative_amount": 4, "huge_amount": 2},
    "accounts": {"negative_revenue": 4},
    "campaigns": {},
}
DELETED_PER_THOUSAND = 10
UNDELETED_PER_THOUSAND = 3


def note(world: "World", table: str, fault: str, places: Sequence[int]) -> None:
    ids = world.tables[table].ids
    world.planted_ids[table].setdefault(fault, []).extend(ids[place] for place in places)


def plant_history(world: "World") -> None:
    for number, table in enumerate(world.tables):
        _plant_table(world, table, number)


def plant_day(world: "World") -> None:
    """Each day brings a new lead with a bad email and a new opportunity with a negative amount."""
    _plant(world, "leads", "bad_email", [len(world.tables["leads"]) - 1])
    _plant(world, "opportunities", "negative_amount", [len(world.tables["opportunities"]) - 1])


def _plant_table(world: "World", table: str, number: int) -> None:
    """No row carries two faults: each is dealt from one shuffled pack."""
    size = len(world.tables[table])
    pack: list[int] = world.random(200, number).permutation(size).tolist()
    for fault, share in PER_THOUSAND[table].items():
        count = max(1, size * share // 1_000)
        fits = _fitting(world, table, fault)
        dealt = [place for place in pack if fits(place)][:count]
        _plant(world, table, fault, dealt)
        taken = set(dealt) | {place - 1 for place in dealt if fault == "duplicate_email"}
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
        case "converted_without_account":
            return lambda place: bool(columns["IsConverted"][place])
        case "other_case_email" | "changed_email":
            were_leads = set(world.tables["leads"].columns["ConvertedContactId"]) - {None}
            return lambda place: bool(columns["Email"][place]) and columns["Id"][place] in were_leads
        case _:
            return lambda _: True


def _plant(world: "World", table: str, fault: str, places: Sequence[int]) -> None:
    records = world.tables[table]
    for number, place in enumerate(places):
        records.change([place], **_faulty(records.columns, fault, place, number))
    note(world, table, fault, places)


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
        case "duplicate_email":
            return {"Email": columns["Email"][place - 1]}
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
