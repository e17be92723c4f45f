"""The receipt of a load: what the source offered, and what became of each row of it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass
class Receipt:
    """Counts of one load. `offered` is the source's own count; None where it gives none.

    `empty` are places in a stream's order that hold no record (the marks of transactions, what was aborted or
    compacted away). `overlap` landed before and was left out; `moved` left the question (or entered it) between the
    count and the read, as a second count confirmed; `rescued` is a part of `landed`. A load that was cut off is not
    `complete`.
    """

    offered: int | None = 0
    landed: int = 0
    overlap: int = 0
    quarantined: int = 0
    moved: int = 0
    empty: int = 0
    rescued: int = 0
    complete: bool = False

    @property
    def accounted(self) -> int:
        return self.landed + self.overlap + self.quarantined + self.moved + self.empty

    @property
    def adds_up(self) -> bool:
        return self.offered is None or self.offered == self.accounted

    @property
    def says(self) -> str:
        offered = "uncounted" if self.offered is None else f"{self.offered:,}"
        sum_of = f"{self.landed:,} landed + {self.overlap:,} overlap + {self.quarantined:,} quarantined"
        moved = f" + {self.moved:,} moved" if self.moved else ""
        empty = f" + {self.empty:,} empty" if self.empty else ""
        return f"{offered} offered {'=' if self.adds_up else '≠'} {sum_of}{moved}{empty}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Self:
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in written.items() if name in known})
