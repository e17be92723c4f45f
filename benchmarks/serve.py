"""A Salesforce of a chosen size, in a process of its own.

It says on one line how to reach it and what it holds. Each line that it is given afterwards is a mark, which
one record in a hundred is changed to carry. It ends when its input does.
"""

import json
import sys
from datetime import timedelta

from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World

# Where a change leaves its mark: columns that no rule judges, and that gold has.
MARKED = {
    "accounts": "BillingCity",
    "contacts": "LeadSource",
    "leads": "LeadSource",
    "opportunities": "LeadSource",
}


def serve(scale: float, leads: int | None) -> None:
    world = World(sizes=Sizes.at(scale, leads=leads))
    with SalesforceServer(world, daily_limit=10_000_000) as server:
        print(json.dumps({"settings": server.settings(), "truth": truth(world)}), flush=True)
        for number, mark in enumerate(sys.stdin):
            print(json.dumps(change(world, number, mark.strip())), flush=True)


def truth(world: World) -> dict[str, object]:
    """What a load of each table has to land, and of all leads in particular."""
    leads = world.records("leads")
    places = world.seen("leads", with_deleted=True).tolist()
    revenues = (leads.columns["AnnualRevenue"][place] for place in places)
    return {
        "rows": {table: len(world.seen(table, with_deleted=True)) for table in MARKED},
        "ids": len({leads.ids[place] for place in places}),
        "revenue": str(sum(revenue for revenue in revenues if revenue is not None)),
    }


def change(world: World, number: int, mark: str) -> dict[str, int]:
    """Other records each time, an hour later; those with planted faults would not get as far as silver."""
    world.pass_time(timedelta(hours=1))
    changed = {}
    for table, column in MARKED.items():
        faulty = {each for ids in world.planted_ids[table].values() for each in ids}
        live = [world.records(table).ids[place] for place in world.seen(table, with_deleted=False)]
        sound = [each for each in live if each not in faulty]
        chosen = sound[number :: len(sound) * 100 // len(live)]
        world.update(table, chosen, **{column: mark})
        changed[table] = len(chosen)
    world.pass_time(timedelta(hours=1))
    return changed


if __name__ == "__main__":
    serve(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
