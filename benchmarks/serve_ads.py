"""One of the stand-ins that are read by days, with so many ads or people, in a process of its own.

What it has answered once it answers again without working it out, so that what is measured is the reading. It says on
one line how to reach it and what it holds, and ends when its input does.
"""

import json
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sandbox.clevertap.server import CleverTapServer
from sandbox.facebook.server import FacebookServer
from sandbox.google_ads.server import GoogleAdsServer
from sandbox.vendor import Answer, Request
from sandbox.world.ads import ACCOUNTS, AdDay, AdWorld
from sandbox.world.company import EPOCH
from sandbox.world.engagement import EVENTS, EngagementWorld

Given = Callable[[Request], Answer]


def serve(vendor: str, size: int, days: int) -> None:
    last = (EPOCH - timedelta(days=1)).date()
    first = last - timedelta(days=days - 1)
    stand_in, truth = STAND_INS[vendor](size, first, last)
    stand_in.server.answer = remembering(stand_in.server.answer)
    with stand_in:
        said = {
            "settings": stand_in.settings() | {"WINDOW_HISTORY": f"P{days}D"},
            "truth": truth,
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
        }
        print(json.dumps(said), flush=True)
        sys.stdin.read()


def remembering(answer: Given) -> Given:
    given: dict[tuple[str, str, str], Answer] = {}

    def again(request: Request) -> Answer:
        question = request.method, request.path, json.dumps(request.asked, sort_keys=True)
        if question not in given:
            given[question] = answer(request)
        return given[question]

    return again


def facebook(size: int, first: date, last: date) -> tuple[FacebookServer, dict[str, str]]:
    world = AdWorld(ads=size)
    rows = ad_days(world, "facebook", first, last)
    # A report is computed when it is asked for.
    return FacebookServer(world, looks=0), of_ads(rows) | {"spend": str(sum(row.spend for row in rows))}


def google(size: int, first: date, last: date) -> tuple[GoogleAdsServer, dict[str, str]]:
    world = AdWorld(ads=size)
    rows = ad_days(world, "google", first, last)
    micros = sum(int(row.spend * 1_000_000) for row in rows)
    return GoogleAdsServer(world), of_ads(rows) | {"spend": str(micros)}


def ad_days(world: AdWorld, platform: str, first: date, last: date) -> list[AdDay]:
    return [row for account in ACCOUNTS[platform] for row in world.rows(platform, account, first, last)]


def of_ads(rows: list[AdDay]) -> dict[str, str]:
    return {
        "rows": str(len(rows)),
        "keys": str(len({(row.ad_id, row.day) for row in rows})),
        "impressions": str(sum(row.impressions for row in rows)),
        "clicks": str(sum(row.clicks for row in rows)),
    }


def clevertap(size: int, first: date, last: date) -> tuple[CleverTapServer, dict[str, str]]:
    world = EngagementWorld(people=size)
    events: list[tuple[str, dict[str, Any]]] = [
        (name, record) for name in EVENTS for record in world.events(name, first, last)
    ]
    truth = {
        "rows": str(len(events)),
        "keys": str(len({(name, event["profile"]["identity"], event["ts"]) for name, event in events})),
        "moments": str(sum(event["ts"] for _, event in events)),
        "amount": str(sum(Decimal(str(event["event_props"]["Amount"])) for _, event in events)),
    }
    return CleverTapServer(world, computing=0), truth


STAND_INS: dict[str, Callable[[int, date, date], tuple[Any, dict[str, str]]]] = {
    "facebook": facebook,
    "google": google,
    "clevertap": clevertap,
}

if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
