"""What a benchmark found, in the shape that `make bench` prints and others read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """`ratio` is ours to a peer's, where 2 is twice as good; `limit` is what the machine allows."""

    name: str
    unit: str
    ours: float
    peers: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    limit: float | None = None
    peak_mb: float | None = None
    rows: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_limit(self) -> float | None:
        return self.ours / self.limit if self.limit else None

    def to_json(self) -> str:
        return json.dumps(_rounded(asdict(self) | {"of_limit": self.of_limit}))


def _rounded(value: Any) -> Any:
    """Three decimals are more than two runs agree on."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value
