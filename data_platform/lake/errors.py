"""What can go wrong with a table, in words that say what to do next."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError


class LakeError(Exception):
    """A table can't be read or written; its committed state is untouched."""


class PositionMissing(LakeError):
    """A table has rows, and nothing says how far its inputs were read."""


class CommitLost(LakeError):
    """Another run committed to the table first; nothing of ours was written, and reading again is safe."""


_NEXT_STEPS = {
    errno.ENOSPC: "the disk is full: free some space and run the step again",
    errno.EDQUOT: "the disk quota is used up: free some space and run the step again",
    errno.EACCES: "the folder can't be written by this user: give it the right to, or set LAKE_URI elsewhere",
    errno.EPERM: "the folder can't be written by this user: give it the right to, or set LAKE_URI elsewhere",
    errno.EROFS: "the file system is read-only: mount it for writing, or set LAKE_URI elsewhere",
    errno.ENOTDIR: "a file stands where a folder should be: move it away, or set LAKE_URI elsewhere",
    errno.ENOENT: "a file that its log names is gone: restore it, or move the table away to load it from the start",
    errno.EEXIST: "a file stands where a folder should be: move it away, or set LAKE_URI elsewhere",
}
# delta-rs hands an operating system's error on as text.
_IN_TEXT = {
    "No space left": errno.ENOSPC,
    "os error 28": errno.ENOSPC,
    "Permission denied": errno.EACCES,
    "os error 13": errno.EACCES,
    "Read-only file system": errno.EROFS,
    "No such file": errno.ENOENT,
    "os error 20": errno.ENOTDIR,
    "Not a directory": errno.ENOTDIR,
    # Said only where something is there that is no folder: a place with nothing is a table to be created.
    "Invalid table location": errno.ENOTDIR,
}


# What delta-rs says of a commit that met another's; the last, where it was not to try again.
_LOST = ("oncurrent", "already exists", "changed since last commit", "Failed to commit transaction: 0")


def _next_step(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in _NEXT_STEPS:
        return _NEXT_STEPS[error.errno]
    text = str(error)
    for part, number in _IN_TEXT.items():
        if part in text:
            return _NEXT_STEPS[number]
    if isinstance(error, DeltaError):
        return (
            "its Delta log can't be read: look at the newest files of _delta_log; docs/operations.md "
            "says how to restore the table from its last good version"
        )
    return "check that LAKE_URI can be reached and written"


@contextmanager
def explained(uri: str, doing: str) -> Iterator[None]:
    """Errors of the file system and of Delta, as ours."""
    try:
        yield
    except LakeError:
        raise
    except CommitFailedError as error:
        if any(sign in str(error) for sign in _LOST):
            raise CommitLost(
                f"another run wrote to {uri} while this one was {doing}; nothing of this run was committed since, "
                "and running it again goes on from the table's position"
            ) from error
        raise LakeError(f"{doing} {uri} failed: {_next_step(error)} ({_first_line(error)})") from error
    except Exception as error:
        # A query that fails has no kind of its own.
        if not isinstance(error, OSError | DeltaError) and type(error) is not Exception:
            raise
        raise LakeError(f"{doing} {uri} failed: {_next_step(error)} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:200]
