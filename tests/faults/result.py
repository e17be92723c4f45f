"""What came of a fault: rows lost, doubled or differing from the truth, as a table and as one line of JSON."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """How content differs from what it must be."""

    lost: int = 0
    doubled: int = 0
    differing: int = 0

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            self.lost + other.lost, self.doubled + other.doubled, self.differing + other.differing
        )

    @classmethod
    def between(
        cls, expected: Mapping[Any, Row], held: Iterable[Row], key: Callable[[Row], Any]
    ) -> "Difference":
        """The held rows against the expected ones, each of which has to be there once, alike in its columns."""
        doubled = differing = 0
        missing = set(expected)
        for row in held:
            place = key(row)
            if place not in missing:
                doubled += 1
                continue
            missing.remove(place)
            differing += any(row[name] != value for name, value in expected[place].items())
        return cls(len(missing), doubled, differing)


@dataclass
class Result:
    """Of one point: how often it was killed there, and what was wrong afterwards."""

    point: str
    kills: int = 0
    difference: Difference = field(default_factory=Difference)
    trouble: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return self.difference == Difference() and not self.trouble

    def as_dict(self) -> dict[str, Any]:
        trouble = {"trouble": self.trouble} if self.trouble else {}
        return {"point": self.point, "kills": self.kills, **asdict(self.difference), **trouble}


def show(group: str, results: Sequence[Result]) -> None:
    table = Table("point", "kills", "lost", "doubled", "differing", title=group, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for result in results:
        found = (result.kills, *asdict(result.difference).values())
        table.add_row(result.point, *map(str, found), style="" if result.is_right else "red")
    console = Console()
    console.print(table)
    for result in results:
        for said in result.trouble:
            console.print(f"{result.point}: {said}", style="red", markup=False)


def as_json(results: Mapping[str, Sequence[Result]], seconds: float) -> str:
    every = [result for group in results.values() for result in group]
    total = sum((result.difference for result in every), Difference())
    return json.dumps(
        {
            "name": "faults",
            "points": [
                {"group": group, **result.as_dict()} for group, found in results.items() for result in found
            ],
            "kills": sum(result.kills for result in every),
            **asdict(total),
            "seconds": round(seconds, 1),
        }
    )
