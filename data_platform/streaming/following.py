"""Following a stream: bounded loads one after the other, with connections and the table kept open between them.

Each load is the one that an asset runs, so either can go on where the other stopped, and a kill costs nothing. What
a broker or a registry does is waited out here, with growing pauses; only a refused login ends the process.
"""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Protocol

from data_platform.bronze.connectors import connector_for
from data_platform.bronze.load import Loaded, load
from data_platform.connectors.base import (
    Batch,
    Connector,
    CredentialsRefused,
    Landed,
    Offer,
    Part,
    SourceError,
)
from data_platform.declarations import SourceTable
from data_platform.lake.compaction import Compacted, compact_small
from data_platform.lake.errors import LakeError
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
from data_platform.settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# One attempt is given up soon, so that a signal is heeded; the next one follows.
PATIENCE = timedelta(seconds=5)
RETRIES = 1


class Stopped(Exception):
    """The process was asked to end in the middle of a load; what is committed stands."""


class Heeds(Protocol):
    """Who is told of each load."""

    def heed(self, loaded: Loaded) -> None: ...

    def tell(self) -> None: ...


class _Interruptible:
    """A connector whose reads end when the process is to end: a first load may take hours."""

    def __init__(self, connector: Connector, stop: threading.Event) -> None:
        self._connector = connector
        self._stop = stop

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        offer = self._connector.offer(table, landed)
        offer.parts = self._parts(offer.parts)
        return offer

    def _parts(self, parts: Iterator[Part]) -> Iterator[Part]:
        for part in parts:
            part.batches = self._batches(part.batches)
            yield part

    def _batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self._stop.is_set():
                raise Stopped
            yield batch


class _Tidying:
    """Small files put together in a thread beside the loads; one table at a time, and never two at once."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidying")
        self._running: Future[list[Compacted]] | None = None

    def of(self, *tables: LakeTable) -> None:
        if self._running is None or self._running.done():
            self._met()
            self._running = self._thread.submit(
                lambda: [compact_small(each) for each in tables if each.exists]
            )

    def end(self) -> None:
        self._thread.shutdown()
        self._met()

    def _met(self) -> None:
        """Files that stay small cost time; they are no reason to stop."""
        if self._running is None:
            return
        if trouble := self._running.exception():
            log.warning("small files were not put together: %s", trouble)
        self._running = None


def follow(table: SourceTable, settings: Settings, stop: threading.Event, told: Heeds) -> None:
    """Load the table again and again until `stop`."""
    soon = settings.model_copy(update={"kafka_patience": PATIENCE, "http_retries": RETRIES})
    connector = _Interruptible(connector_for(table, soon), stop)
    every = settings.stream_commit_every.total_seconds()
    lake, tidying = lake_of(settings), _Tidying()
    held: LakeTable | None = None
    pause = FIRST_PAUSE
    try:
        while not stop.is_set():
            began = time.monotonic()
            try:
                loaded = load(table, connector, lake, settings.commit_rows, held=held)
            except Stopped:
                break
            except CredentialsRefused:
                raise
            except (SourceError, LakeError) as trouble:
                log.warning("%s: %s; going on in %.0f s", table.silver_name, trouble, pause)
                stop.wait(pause)
                held, pause = None, min(2 * pause, LONGEST_PAUSE)
                continue
            held, pause = loaded.held, FIRST_PAUSE
            told.heed(loaded)
            if loaded.receipt.landed or loaded.receipt.quarantined:
                tidying.of(loaded.held, lake.quarantine(table))
            stop.wait(max(0.0, every - (time.monotonic() - began)))
    finally:
        tidying.end()
        told.tell()
