"""How long one load waits for a source that is throttled, or still computing what it was asked."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from data_platform.connectors.base import QuotaReached

log = logging.getLogger(__name__)

FIRST_LOOK = 0.25
LONGEST_LOOK = 30.0


class Patience:
    """The time that one load may wait, in sum."""

    def __init__(self, source: str, limit: timedelta) -> None:
        self.source = source
        self.limit = limit.total_seconds()
        self.waited = 0.0

    def wait(self, seconds: float, reason: str) -> None:
        if self.waited + seconds > self.limit:
            raise QuotaReached(
                f"{self.source}: {reason}; it wants {seconds:.0f} s more, and {self.waited:.0f} of the "
                f"{self.limit:.0f} s of WINDOW_PATIENCE are spent. What is committed stands; run again later"
            )
        log.info("%s: %s; waiting %.1f s", self.source, reason, seconds)
        time.sleep(seconds)
        self.waited += seconds

    def looks(self, reason: str) -> Iterator[int]:
        """Look again and again, with growing pauses, until the patience is at its end."""
        number = 0
        while True:
            yield number
            self.wait(min(LONGEST_LOOK, FIRST_LOOK * 1.5**number), reason)
            number += 1
