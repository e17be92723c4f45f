"""Loads in this process, from a source that something happens to before or while it is read."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.connectors.base import Batch, Connector, Landed, Offer
from data_platform.declarations import SourceTable
from data_platform.lake.tables import Lake
from data_platform.settings import Settings
from tests.faults.launcher import Constant
from tests.faults.loads import Source, Versions
from tests.faults.result import Result

Happens = Callable[[], object]


class Meanwhile:
    """A connector, and something that happens once while it reads: before the batch after so many."""

    def __init__(self, connector: Connector, happens: Happens | None, after: int = 2) -> None:
        self.connector = connector
        self.happens = happens
        self.after = after

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        offer = self.connector.offer(table, landed)
        if not self.happens:
            return offer
        return replace(offer, parts=(replace(part, batches=self._read(part.batches)) for part in offer.parts))

    def _read(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for number in count():
            if number == self.after and self.happens:
                self.happens()
                self.happens = None
            batch = next(batches, None)
            if batch is None:
                return
            yield batch


class Disturbed:
    """A source's table, loaded into a lake of its own; every batch is a commit of its own."""

    def __init__(self, source: Source, home: Path) -> None:
        self.home = home
        self.source = source
        self.lake = Lake(str(home / "lake"))
        source.begin()
        self.versions = Versions(source)
        # Where versions between two loads can't be had, each key's newest counts alone.
        self.newest_alone = False

    def load(self, meanwhile: Happens | None = None, after: int = 2, **settings: Any) -> Loaded:
        self.versions.note()
        with patch.dict(os.environ, self.source.settings()):
            chosen = Settings(_env_file=None, data_platform_home=self.home, **settings)  # type: ignore[call-arg]
        connector = Meanwhile(connector_for(self.source.table, chosen), meanwhile, after)
        loaded = load(self.source.table, connector, self.lake, commit_rows=1)
        if meanwhile and connector.happens:
            raise AssertionError("the load was at its end before anything happened")
        return loaded

    def fails(
        self,
        kind: type[Exception],
        says: str,
        meanwhile: Happens | None = None,
        after: int = 2,
        **settings: Any,
    ) -> None:
        """A load that ends with this error."""
        try:
            loaded = self.load(meanwhile, after, **settings)
        except kind as error:
            if says not in str(error):
                raise AssertionError(f"the error does not say {says!r}: {error}") from None
        else:
            raise AssertionError(f"the load met no {kind.__name__}, and says {loaded.receipt.says}")

    def change(self) -> None:
        """A day goes by at the source."""
        self.source.change(self.versions.note)


Case = Callable[[Any, Disturbed], None]


@dataclass(frozen=True)
class Trouble:
    """What happens to a source, and the loads around it."""

    name: str
    case: Case


def meet(source: Source, troubles: Sequence[Trouble], folder: Path) -> list[Result]:
    """Each trouble, with a lake of its own; what bronze holds after a last, plain load is compared with the truth."""
    with quickly(source):
        return [
            _met(source, trouble, folder / f"{source.name}-{number}")
            for number, trouble in enumerate(troubles)
        ]


def _met(source: Source, trouble: Trouble, home: Path) -> Result:
    result = Result(f"{source.name}: {trouble.name}")
    disturbed = Disturbed(source, home)
    try:
        trouble.case(source, disturbed)
        disturbed.load()
        quiet = disturbed.load()
    except Exception as error:
        # Whatever it is: the others are met all the same.
        result.trouble.append(f"{type(error).__name__}: {str(error)[:1500]}")
    else:
        if quiet.receipt.landed or not quiet.receipt.adds_up:
            result.trouble.append(f"a quiet load says {quiet.receipt.says}")
    result.difference = disturbed.versions.differ(disturbed.lake, newest_alone=disturbed.newest_alone)
    return result


@contextmanager
def quickly(source: Source) -> Iterator[None]:
    """With what lets the source's table come in many batches, and retries be quick."""
    with ExitStack() as stack:
        for constant in source.small:
            if not isinstance(constant, Constant):
                raise TypeError(f"{constant} is no constant, and stays planted in this process")
            stack.enter_context(patch(constant.name.replace(":", "."), constant.value))
        yield
