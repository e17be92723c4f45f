"""What the sandbox remembers between its processes, below `<home>/sandbox/`."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_platform.settings import home_folder

# What is served beside Salesforce; systems.py serves it.
SYSTEM_NAMES = (
    "postgres",
    "mysql",
    "snowflake",
    "facebook",
    "google",
    "clevertap",
    "landing",
    "kafka",
    "dynamodb",
)
# What of the state says where the servers listen and how one logs in there.
ADDRESSES = ("port", "authority", "credentials", "kept")


def folder() -> Path:
    return home_folder() / "sandbox"


def environment_file() -> Path:
    """Where the platform finds the sandbox's addresses; settings.py reads it."""
    return folder() / "sandbox.env"


def log_file() -> Path:
    return folder() / "sandbox.log"


@dataclass(frozen=True)
class State:
    """Which company, on which day, and where it is served; the server fills in the last, once it runs."""

    seed: int = 2026
    scale: float = 1.0
    leads: int | None = None
    # Which systems are served beside Salesforce; None is all of them.
    systems: list[str] | None = None
    day: int = 0
    port: int = 0
    process: int = 0
    authority: str = ""
    credentials: dict[str, str] = field(default_factory=dict)
    # The ports and secrets of the systems beside Salesforce.
    kept: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "State | None":
        """None before the first `up`."""
        file = folder() / "state.json"
        if not file.exists():
            return None
        try:
            return cls(**json.loads(file.read_text()))
        except (ValueError, TypeError):
            raise ValueError(
                f"{file} can't be read as the sandbox's state; delete it to begin anew"
            ) from None

    def save(self) -> None:
        write_private(folder() / "state.json", json.dumps(asdict(self), indent=2))

    def with_(self, **changes: Any) -> "State":
        changed = replace(self, **changes)
        changed.save()
        return changed


def write_private(file: Path, text: str) -> None:
    """Secrets of the sandbox are nobody else's either; who reads the file meanwhile sees the old one whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(file)
