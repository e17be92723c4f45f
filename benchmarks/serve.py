"""A Salesforce with so many leads, in a process of its own.

It says on one line how to reach it and what it holds, and ends when its input does.
"""

import json
import sys

from sandbox.salesforce.server import SalesforceServer
from sandbox.world.company import Sizes, World


def serve(leads: int) -> None:
    world = World(sizes=Sizes.at(0.02, leads=leads))
    with SalesforceServer(world, daily_limit=10_000_000) as server:
        print(json.dumps({"settings": server.settings(), "truth": truth(world)}), flush=True)
        sys.stdin.read()


def truth(world: World) -> dict[str, str | int]:
    """What a load of all leads has to land."""
    leads = world.records("leads")
    places = world.seen("leads", with_deleted=True).tolist()
    revenues = (leads.columns["AnnualRevenue"][place] for place in places)
    return {
        "rows": len(places),
        "ids": len({leads.ids[place] for place in places}),
        "revenue": str(sum(revenue for revenue in revenues if revenue is not None)),
    }


if __name__ == "__main__":
    serve(int(sys.argv[1]))
