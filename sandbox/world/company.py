"""The company: its tables on a given day, how they change, and what is true of them.

`World(seed)` is day 0, two years of history before EPOCH; `advance` adds days. The same seed and sizes give
the same company, day for day. What is changed by hand (`insert`, …) is not remembered by a later World.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

import numpy as np

from sandbox.world import crm, days, faults
from sandbox.world.ids import record_ids
from sandbox.world.records import Records, Rows

EPOCH = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
HISTORY = timedelta(days=730)
# How long Salesforce keeps what was deleted in the recycle bin.
RECYCLE_BIN = timedelta(days=15)
COMPOUNDS = {
    "leads": ("",),
    "accounts": ("Billing", "Shipping"),
    "contacts": ("Mailing",),
    "opportunities": (),
    "campaigns": (),
}


@dataclass(frozen=True)
class Sizes:
    """How many rows each table has on day 0."""

    accounts: int = 1_000
    contacts: int = 3_000
    leads: int = 5_000
    opportunities: int = 2_500
    campaigns: int = 40

    @classmethod
    def at(cls, scale: float, leads: int | None = None) -> "Sizes":
        """The usual company times `scale`; `leads` sets their number alone."""
        usual = cls()
        return cls(
            max(20, round(usual.accounts * scale)),
            max(20, round(usual.contacts * scale)),
            leads if leads is not None else max(20, round(usual.leads * scale)),
            max(20, round(usual.opportunities * scale)),
        )


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def address_of(row: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    """The compound that Salesforce makes of an address's parts."""
    parts = {part: row[f"{prefix}{part}"] for part in ("Street", "City", "State", "PostalCode", "Country")}
    if not any(parts.values()):
        return None
    return {
        "city": parts["City"],
        "country": parts["Country"],
        "geocodeAccuracy": None,
        "latitude": None,
        "longitude": None,
        "postalCode": parts["PostalCode"],
        "state": parts["State"],
        "street": parts["Street"],
    }


class World:
    """One company. Hold `lock` while reading several things that have to agree."""

    def __init__(self, seed: int = 2026, sizes: Sizes | None = None) -> None:
        self.seed = seed
        self.sizes = sizes or Sizes()
        self.day = 0
        self.clock = int(EPOCH.timestamp())
        self.lock = RLock()
        self.planted_ids: dict[str, dict[str, list[str]]] = {name: {} for name in crm.PREFIXES}
        # Leads of people whom the CRM has already, each with the record that it has.
        self.same_person: dict[str, str] = {}
        # The email that a contact had before it went to another.
        self.moved_emails: dict[str, str] = {}
        self.tables = self._history()
        faults.plant_history(self)
        # The contacts and open leads of the first day that have an email of their own and no fault.
        self.reachable = {table: faults.reachable(self, table) for table in ("contacts", "leads")}

    @property
    def now(self) -> datetime:
        """The company's own time; `advance`, `pass_time` and every change move it, nothing else does."""
        return moment(self.clock)

    @property
    def planted(self) -> dict[str, dict[str, int]]:
        """How many rows of each table carry which fault."""
        return {
            table: {fault: len(ids) for fault, ids in each.items()}
            for table, each in self.planted_ids.items()
        }

    def truth(self, table: str) -> list[dict[str, Any]]:
        """Every record as it is now, the deleted ones flagged by IsDeleted; what is held back is left out."""
        with self.lock:
            records = self.records(table)
            names = list(records.columns)
            rows = zip(*records.columns.values(), strict=True)
            return [
                self._plain(table, dict(zip(names, row, strict=True)))
                for place, row in enumerate(rows)
                if place not in records.held_back
            ]

    def _plain(self, table: str, row: dict[str, Any]) -> dict[str, Any]:
        row.update({name: moment(row[name]) for name in crm.MOMENTS})
        row.update({f"{prefix}Address": address_of(row, prefix) for prefix in COMPOUNDS[table]})
        return row

    def records(self, table: str) -> Records:
        if table not in self.tables:
            raise LookupError(f"the company has no table {table!r}; there are {', '.join(self.tables)}")
        return self.tables[table]

    def random(self, *purpose: int) -> np.random.Generator:
        """Chance of its own for each purpose, so that a row more in one leaves the others as they were."""
        return np.random.default_rng([self.seed, *purpose])

    def batch(self, table: str, count: int, *, within: timedelta, ties: float) -> crm.Batch:
        """New rows of a table, created within the time before now; a share was touched in bulk since."""
        random = self.random(self.day, list(crm.PREFIXES).index(table))
        start = self.clock - int(within.total_seconds())
        created = np.sort(random.integers(start, self.clock - 3_600, count))
        quiet = created + (random.random(count) ** 2 * (self.clock - 60 - created)).astype(np.int64)
        # Mass updates stamp many rows with one second; the largest of them takes a third.
        mass = np.sort(random.integers(start + (self.clock - start) // 2, self.clock - 1_800, 12))
        chosen = mass[np.minimum(random.integers(0, 16, count), 11)]
        modified = np.where((random.random(count) < ties) & (chosen > created), chosen, quiet)
        first = len(self.tables[table]) if self.day else 0
        return crm.Batch(random, first, created, modified)

    def _history(self) -> dict[str, Records]:
        batches = {
            table: self.batch(table, getattr(self.sizes, table), within=HISTORY, ties=0.5)
            for table in crm.PREFIXES
        }
        accounts = crm.accounts(batches["accounts"], self.day)
        contacts = crm.contacts(batches["contacts"], accounts["Id"])
        leads = crm.leads(batches["leads"])
        opportunities = crm.opportunities(batches["opportunities"], accounts["Id"])
        days.convert_history(leads, contacts, opportunities, accounts)
        made = {
            "accounts": accounts,
            "contacts": contacts,
            "leads": leads,
            "opportunities": opportunities,
            "campaigns": crm.campaigns(batches["campaigns"]),
        }
        return {table: Records(columns) for table, columns in made.items()}

    # What happens to the company, by the day or by hand.

    def advance(self, number: int = 1) -> None:
        """So many days go by: new rows, changes to about one in a hundred, a few deleted and undeleted."""
        with self.lock:
            for _ in range(number):
                self.day += 1
                self.clock += int(timedelta(days=1).total_seconds())
                days.live_through(self)

    def pass_time(self, by: timedelta) -> None:
        self.clock += int(by.total_seconds())

    def insert(self, table: str, *rows: Mapping[str, Any]) -> list[str]:
        """New records, all stamped with one second; what a row does not say is null."""
        with self.lock, self._second() as second:
            records = self.records(table)
            ids = record_ids(crm.PREFIXES[table], len(records), len(rows))
            kept = dict.fromkeys(crm.MOMENTS, second) | dict.fromkeys(
                ("OwnerId", "CreatedById", "LastModifiedById"), crm.USERS[0]
            )
            falsehoods = {name for name, values in records.columns.items() if isinstance(values[0], bool)}
            full = [
                {**dict.fromkeys(falsehoods, False), **kept, **row, "Id": record_id}
                for row, record_id in zip(rows, ids, strict=True)
            ]
            records.append({name: [row.get(name) for row in full] for name in records.columns})
            self._recompute(table, map(records.place, ids))
            return ids

    def update(self, table: str, ids: Iterable[str], **values: Any) -> None:
        """Changes the records in one second of their own."""
        self._stamp(table, ids, **values)

    def delete(self, table: str, ids: Iterable[str]) -> None:
        """Into the recycle bin."""
        with self.lock:
            records = self.records(table)
            places = self._stamp(table, ids, IsDeleted=True)
            stamps = records.columns["SystemModstamp"]
            records.deleted_at.update({place: stamps[place] for place in places})

    def undelete(self, table: str, ids: Iterable[str]) -> None:
        with self.lock:
            records = self.records(table)
            wanted = list(ids)
            gone = [each for each in wanted if records.place(each) in records.purged]
            if gone:
                raise ValueError(
                    f"{len(gone)} of the {table} were purged; what left the recycle bin can't come back"
                )
            for place in self._stamp(table, wanted, IsDeleted=False):
                records.deleted_at.pop(place, None)

    def purge(self, table: str) -> int:
        """Empties the recycle bin; returns how many records went."""
        with self.lock:
            records = self.records(table)
            going = set(records.deleted_at) - records.purged
            records.purged |= going
            return len(going)

    def hold_back(self, table: str, row: Mapping[str, Any], ago: timedelta) -> str:
        """A record that was stamped some time ago, by a transaction that nobody sees before `release`."""
        with self.lock:
            (record_id,) = self.insert(table, row)
            records = self.records(table)
            place = records.place(record_id)
            records.change([place], **dict.fromkeys(crm.MOMENTS, self.clock - int(ago.total_seconds())))
            records.held_back.add(place)
            return record_id

    def release(self) -> None:
        """Lets everything held back be seen."""
        with self.lock:
            for records in self.tables.values():
                records.held_back.clear()

    def seen(self, table: str, *, with_deleted: bool) -> Rows:
        """The places of the records that a query sees now."""
        since = self.clock - int(RECYCLE_BIN.total_seconds()) if with_deleted else None
        return self.records(table).visible(deleted_since=since)

    @contextmanager
    def _second(self) -> Iterator[int]:
        """A second of its own for a change; it is over when somebody looks."""
        self.clock += 2
        yield self.clock - 1

    def _stamp(self, table: str, ids: Iterable[str], **values: Any) -> list[int]:
        with self.lock, self._second() as second:
            records = self.records(table)
            places = [records.place(each) for each in ids]
            records.change(places, **values, LastModifiedDate=second, SystemModstamp=second)
            self._recompute(table, places)
            return places

    def _recompute(self, table: str, places: Iterable[int]) -> None:
        """A formula and a person's full name follow what they are made of."""
        records = self.tables[table]
        columns = records.columns
        for place in places:
            if table == "accounts":
                records.change([place], Segment__c=crm.segment(columns["AnnualRevenue"][place], self.day))
            elif table in ("leads", "contacts"):
                names = (columns["FirstName"][place], columns["LastName"][place])
                records.change([place], Name=" ".join(filter(None, names)))
