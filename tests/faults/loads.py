"""Loads of one table, each by the real loader in a process of its own, with faults planted from outside.

What bronze must hold afterwards is every version of the source's records that loads had the chance to see, once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import load
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from tests.faults.chain import Ended, Run
from tests.faults.launcher import Fault, prepare
from tests.faults.result import Difference, Row
from tests.faults.truth import held

Key = tuple[Any, ...]
Note = Callable[[], None]


class Source(Protocol):
    """A stand-in that holds a table, and knows the truth of it."""

    @property
    def name(self) -> str: ...

    @property
    def table(self) -> SourceTable: ...

    @property
    def small(self) -> Sequence[Fault]:
        """What lets a small table come in many batches, and retries be quick; planted in every load."""

    def settings(self) -> Mapping[str, str]:
        """The platform's, by their names in the environment."""

    def begin(self) -> None:
        """Be ready for a lake that holds nothing yet."""

    def change(self, note: Note) -> None:
        """A day goes by, in which each record that can change does. Where a source tells of every version, `note` is
        called before the next."""

    def records(self) -> Mapping[Key, Row]:
        """What is there now, by key, as bronze must hold it."""

    def undecodable(self) -> Sequence[bytes]:
        """What bronze's quarantine must hold."""


class Versions:
    """The versions of a source's records, each key's in their order."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.by_key: dict[Key, list[Row]] = {}

    def note(self) -> None:
        """Takes down what has changed since; called before a load."""
        now = self.source.records()
        for key, record in now.items():
            row = {"_rescued": None, **record, "_op": "upsert"}
            known = self.by_key.setdefault(key, [])
            if not known or known[-1] != row:
                known.append(row)
        for key in self.by_key.keys() - now.keys():
            if self.by_key[key][-1]["_op"] == "upsert":
                self.by_key[key].append({"_op": "delete"})

    def differ(self, lake: Lake, *, newest_alone: bool = False) -> Difference:
        """Every version once, or each key's newest; what can't be decoded in quarantine once."""
        table = self.source.table
        rows = list(_numbered(table, held(lake, f"bronze/{table.system}/{table.name}")))
        if newest_alone:
            newest = {key: known[-1] for key, known in self.by_key.items()}
            found = Difference.between(newest, _newest(rows), lambda row: row["place"][0])
            found += Difference(doubled=_repeated(table, rows))
        else:
            expected = {(key, at): row for key, known in self.by_key.items() for at, row in enumerate(known)}
            found = Difference.between(expected, rows, lambda row: row["place"])
        quarantined = held(lake, f"quarantine/{table.system}/{table.name}")
        bad: dict[bytes, Row] = {body: {} for body in self.source.undecodable()}
        return found + Difference.between(bad, quarantined, lambda row: row["_body"])


def _numbered(table: SourceTable, rows: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The rows as what they mean, each with its key and its number among the key's versions."""
    of_json = [column.name for column in table.columns if column.type.kind == "json"] + ["_rescued"]
    seen: dict[Key, int] = {}
    # A row without a moment of its own is as new as its landing.
    for row in sorted(
        rows, key=lambda row: (*(row[name] or row["_landed_at"] for name in table.cursors), row["_batch"])
    ):
        key = tuple(row[name] for name in table.key)
        seen[key] = seen.get(key, -1) + 1
        yield (
            row | {name: json.loads(row[name]) for name in of_json if row[name]} | {"place": (key, seen[key])}
        )


def _newest(rows: Sequence[Row]) -> Sequence[Row]:
    """Each key's newest row, of rows in their order."""
    return list({row["place"][0]: row for row in rows}.values())


def _repeated(table: SourceTable, rows: Sequence[Row]) -> int:
    """Rows that stand at a place in the source's order where their key stands already."""
    return len(rows) - len({(row["place"][0], *(row[name] for name in table.cursors)) for row in rows})


@dataclass(frozen=True)
class LoadOrder:
    """Which table to load, with which settings, where its output goes, and what goes wrong."""

    table: SourceTable
    environment: Mapping[str, str]
    output: Path
    faults: Sequence[Fault]


def launch(order: LoadOrder) -> None:
    """The whole life of a forked process."""
    prepare(order.environment, order.output, order.faults)
    settings = Settings(_env_file=None)
    load(order.table, connector_for(order.table, settings), Lake(settings.lake), settings.commit_rows)


class Loads:
    """A lake of its own that one source's table is loaded into, every batch committed by itself."""

    def __init__(self, home: Path, source: Source) -> None:
        self.home = home
        self.source = source
        self.runs = 0
        home.mkdir(parents=True)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"))

    @property
    def batch(self) -> int:
        return self.lake.bronze(self.source.table).batch

    def start(self, *faults: Fault) -> Run:
        self.runs += 1
        output = self.home / f"run-{self.runs}.log"
        environment = {
            "DATA_PLATFORM_HOME": str(self.home),
            "LAKE_URI": self.lake.uri,
            "COMMIT_ROWS": "1",
            **self.source.settings(),
        }
        order = LoadOrder(self.source.table, environment, output, (*self.source.small, *faults))
        return Run(partial(launch, order), output)

    def must_run(self, *faults: Fault) -> Ended:
        ended = self.start(*faults).wait()
        if ended.code != 0:
            raise AssertionError(f"a plain load from {self.source.name} failed:\n{ended.said[-6000:]}")
        return ended

    def must_be_killed(self, fault: Fault) -> None:
        ended = self.start(fault).wait()
        if not ended.was_killed:
            raise AssertionError(
                f"the load from {self.source.name} never came to where it was to be killed ({fault}), and ended with "
                f"{ended.code}:\n{ended.said[-6000:]}"
            )
