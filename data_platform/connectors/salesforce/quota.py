"""The org's daily API calls: what is left of them, and the wait when that falls below the reserve."""

import logging
import re
import time
from collections.abc import Callable
from datetime import timedelta

from data_platform.connectors.base import QuotaReached

log = logging.getLogger(__name__)

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d+)/(\d+)")
FIRST_LOOK = 1.0
LONGEST_LOOK = 60.0


class Quota:
    """Holds calls back while fewer are left than the reserve, which belongs to the company's other users."""

    def __init__(self, reserve: float, patience: timedelta, ask_limits: Callable[[], None]) -> None:
        self._reserve = reserve
        self._patience = patience.total_seconds()
        # Has the vendor say what is left; what it says arrives by `saw`.
        self._ask_limits = ask_limits
        self._used = 0
        self._daily: int | None = None
        self._refused = False

    def saw(self, limit_info: str) -> None:
        """Takes note of an answer's Sforce-Limit-Info."""
        if found := _USAGE.search(limit_info):
            self._used, self._daily = int(found[1]), int(found[2])

    def refused(self) -> None:
        """Takes note that a call was refused for the quota's sake."""
        self._refused = True

    def wait_for_room(self) -> None:
        """Returns at once where there is room; else waits for the next window as long as patience lasts."""
        if self._has_room:
            return
        log.info("%s; waiting up to %.0f s for the next window", self._says, self._patience)
        pause = FIRST_LOOK
        while not self._has_room:
            if self._patience <= 0:
                raise QuotaReached(
                    f"{self._says}. The wait for the next window (SALESFORCE_QUOTA_PATIENCE) is over: run "
                    "again later, or lower SALESFORCE_QUOTA_RESERVE; the position stands"
                )
            pause = min(pause, self._patience)
            time.sleep(pause)
            self._patience -= pause
            pause = min(pause * 2, LONGEST_LOOK)
            self._refused = False
            self._ask_limits()
        log.info("Salesforce has room again: %d of %d API calls used", self._used, self._daily or 0)

    @property
    def _has_room(self) -> bool:
        if self._refused:
            return False
        return self._daily is None or self._daily - self._used >= self._daily * self._reserve

    @property
    def _says(self) -> str:
        if self._daily is None:
            return "Salesforce refuses calls, its daily quota being spent"
        left = max(0, self._daily - self._used)
        kept = int(self._daily * self._reserve)
        return f"Salesforce has {left} of {self._daily} daily API calls left, and {kept} are kept in reserve"
