"""Work that another run's commit, or a source that moved, has undone begins again from its table's position."""

import logging
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

# Who lost so often to others is told so.
ATTEMPTS = 4

Done = TypeVar("Done")


def begun_again(work: Callable[[], Done], undone_by: tuple[type[Exception], ...], name: str) -> Done:
    """What the work comes to in the end; each attempt reads the position anew."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except undone_by as reason:
            log.warning("%s begins again from its position: %s", name, reason)
    return work()
