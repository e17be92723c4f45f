"""What the sandbox knows of the rows in a database, kept beside the database between its processes."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sandbox.world.company import World


class Held(Protocol):
    """The rows of a database: made of a company, and days old."""

    world: World
    day: int


Kind = TypeVar("Kind", bound=Held)


class Memory:
    """A file that is there while it is true: a database that was cut off in the middle of a day is made anew."""

    def __init__(self, file: Path, company: World) -> None:
        self._file = file
        self._company = company
        self._day = company.day

    def recall(self, kind: type[Kind]) -> Kind | None:
        if not self._file.exists():
            return None
        # Our own file, which nobody else writes to.
        self._day, values = pickle.loads(self._file.read_bytes())  # noqa: S301
        held = kind.__new__(kind)
        vars(held).update(values, world=self._company)
        return held

    def of(self, held: Held, live_a_day: Callable[[], Any]) -> Callable[[], None]:
        """How a day goes by, from now on; the days that the company is ahead go by at once."""

        def day_goes_by() -> None:
            self._file.unlink(missing_ok=True)
            live_a_day()
            self._day += 1
            self._write(held)

        self._write(held)
        while self._day < self._company.day:
            day_goes_by()
        return day_goes_by

    def _write(self, held: Held) -> None:
        values = {name: value for name, value in vars(held).items() if name != "world"}
        self._file.touch(mode=0o600)
        self._file.write_bytes(pickle.dumps((self._day, values)))
