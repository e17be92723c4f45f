"""The warehouse file that analysts open: a whole copy of the one that gold is built in, put in place in one move.

Whoever has the file open keeps the state that was there, and neither waits for a build nor holds one up. A copy costs
what the file has of bytes; where the file system can share them (XFS, Btrfs), next to nothing.
"""

import os
import shutil
from pathlib import Path

from data_platform.settings import Settings


def begin(settings: Settings) -> None:
    """Have the file to build in: the one that is there, else a copy of what analysts see."""
    building = settings.duckdb_building
    building.parent.mkdir(parents=True, exist_ok=True)
    if not building.exists() and settings.duckdb_file.exists():
        _copied(settings.duckdb_file, building)


def publish(settings: Settings) -> None:
    """Let analysts see what was built. Killed anywhere, they see the state before or the state after."""
    building, file = settings.duckdb_building, settings.duckdb_file
    _write_back(building)
    # Of somebody who opened the file that is there to write into it; the next one must not take it for its own.
    _log_of(file).unlink(missing_ok=True)
    _copied(building, file)


def _write_back(building: Path) -> None:
    """All that was committed into the file itself, so that it can be copied without its log."""
    import duckdb

    if _log_of(building).exists():
        with duckdb.connect(str(building)) as connection:
            connection.execute("checkpoint")


def _copied(file: Path, place: Path) -> None:
    """A copy under another name, moved to its place when it is on the disk."""
    copy = place.with_name(f".{place.name}.copy")
    copy.unlink(missing_ok=True)
    with file.open("rb") as source, copy.open("wb") as target:
        _copy_bytes(source.fileno(), target.fileno(), file.stat().st_size)
        os.fsync(target.fileno())
    copy.replace(place)


def _copy_bytes(source: int, target: int, size: int) -> None:
    """By the kernel, which shares the blocks where it can."""
    try:
        done = 0
        while done < size:
            done += os.copy_file_range(source, target, size - done) or size
    except (OSError, AttributeError):
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
        with os.fdopen(os.dup(source), "rb") as reads, os.fdopen(os.dup(target), "wb") as writes:
            shutil.copyfileobj(reads, writes)


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")
