"""Which files have been read, as a table's commits carry it, and which a listing still has to look at.

Files are written below dated folders (`…/2026/11/21/…`, `…/2026-11-21…`, `…/year=2026/month=11/day=21/…`), of which
keys run in the order of their days. Everything before the date is a layout; the position holds, by layout, the marks
of the files of the newest days: as many as the declared look-back. The listing leaps over all that is older, so
neither its cost nor the position grows with what ever landed.

Not seen is therefore a file that is added or changed in a folder older than the look-back from its layout's newest
day. To have such days read, take them and the later ones out of the position (`data-platform position set`): what
landed already is left out by its content. Files whose address has no date are listed each time, and remembered for
as long as they are there: a layout for few files.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from data_platform.connectors.base import Position
from data_platform.connectors.landing.storage import Found, Storage

_DATED = re.compile(
    r"(?<!\d)(?P<y>year=)?(\d{4})(?P<sep>[-/])(?P<m>month=)?(\d{2})(?P=sep)(?P<d>day=)?(\d{2})(?!\d)"
)
# Sorts after whatever a key goes on with.
_LAST = "\U0010ffff"


def mark_of(found: Found) -> str:
    """An object's key and content, in eleven letters."""
    digest = blake2b(f"{found.key}\0{found.etag}".encode(), digest_size=8).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


@lru_cache(100_000)
def dated(key: str) -> tuple[str, date] | None:
    """The key's layout, as `strftime` writes its days, and its day; None where there is no date in it."""
    for found in _DATED.finditer(key):
        try:
            day = date(*(int(found[number]) for number in (2, 5, 7)))
        except ValueError:
            continue
        year, month, of_month = (found[name] or "" for name in ("y", "m", "d"))
        before = key[: found.start()].replace("%", "%%")
        return f"{before}{year}%Y{found['sep']}{month}%m{found['sep']}{of_month}%d", day
    return None


@dataclass
class Reached:
    """The files that were read, as far as it has to be remembered."""

    look_back: timedelta
    today: date
    layouts: dict[str, dict[date, set[str]]] = field(default_factory=dict)
    undated: set[str] = field(default_factory=set)
    # How far the table was read from its source itself, before it was read from files.
    before_files: Position | None = None

    @classmethod
    def of(cls, position: Position | None, look_back: timedelta, today: date) -> "Reached":
        reached = cls(look_back, today)
        if position is None:
            return reached
        if "layouts" not in position:
            reached.before_files = position
            return reached
        reached.undated = set(position["undated"])
        reached.before_files = position.get("before_files")
        for layout, days in position["layouts"].items():
            reached.layouts[layout] = {date.fromisoformat(day): set(marks) for day, marks in days.items()}
        return reached

    @property
    def position(self) -> dict[str, Any]:
        layouts = {
            layout: {day.isoformat(): sorted(marks) for day, marks in sorted(days.items())}
            for layout, days in sorted(self.layouts.items())
        }
        held: dict[str, Any] = {"layouts": layouts, "undated": sorted(self.undated)}
        return held | ({"before_files": dict(self.before_files)} if self.before_files else {})

    def first_day(self, layout: str) -> date:
        """Where the look-back begins. A file dated ahead of time does not move it past today."""
        days = self.layouts.get(layout)
        return min(max(days), self.today) - self.look_back if days else date.min

    def knows(self, found: Found) -> bool:
        place = dated(found.key)
        marks = self.layouts.get(place[0], {}).get(place[1], ()) if place else self.undated
        return mark_of(found) in marks

    def take(self, objects: Iterable[Found]) -> None:
        """Remember the objects as read, and forget the days that fall out of the look-back."""
        changed = set()
        for found in objects:
            place = dated(found.key)
            if place is None:
                self.undated.add(mark_of(found))
                continue
            layout, day = place
            self.layouts.setdefault(layout, {}).setdefault(day, set()).add(mark_of(found))
            changed.add(layout)
        for layout in changed:
            first = self.first_day(layout)
            self.layouts[layout] = {day: marks for day, marks in self.layouts[layout].items() if day >= first}

    def unread(self, storage: Storage, prefix: str) -> list[Found]:
        """What has to be read now, in the order of its keys."""
        still_there, fresh = set(), []
        for found in self._looked_at(storage, prefix):
            if dated(found.key) is None:
                still_there.add(mark_of(found))
            if _is_data(found, prefix) and not self.knows(found):
                fresh.append(found)
        self.undated &= still_there
        return fresh

    def _looked_at(self, storage: Storage, prefix: str) -> Iterator[Found]:
        """All objects but those of days before the look-back, which are leaped over."""
        after: str | None = ""
        while after is not None:
            start, after = after, None
            for found in storage.listed(prefix, start):
                place = dated(found.key)
                if place and place[1] < (first := self.first_day(place[0])):
                    after = (first - timedelta(days=1)).strftime(place[0]) + _LAST
                    break
                yield found


def _is_data(found: Found, prefix: str) -> bool:
    """Not a folder's own entry, nor what writers leave beside their files (_SUCCESS, .crc)."""
    parts = found.key.removeprefix(prefix).split("/")
    return bool(parts[-1]) and not any(part.startswith(("_", ".")) for part in parts)
