"""Following a stream: bounded loads one after the other, with connections and the table kept open between them.

Each load is the one that an asset runs, so either can go on where the other stopped, and a kill costs nothing. What
a broker or a registry does is waited out here, with growing pauses; only a refused login ends the process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
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
from data_platform.lake.compaction import compact_small
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


class Told(Protocol):
    """Who is told of the loads, in a thread beside them: what it writes to may be slow."""

    def heed(self, loaded: Loaded) -> bool:
        """Take a load in; whether it is time to tell."""

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


class _Beside:
    """Work in a thread beside the loads, one piece at a time: what comes while one is under way is left out."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._name = name
        self._running: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        if self._running is None or self._running.done():
            self._met()
            self._running = self._thread.submit(work)

    def end(self) -> None:
        self._thread.shutdown()
        self._met()

    def _met(self) -> None:
        """Its troubles cost time or a report; they are no reason to stop."""
        if self._running is not None and (trouble := self._running.exception()):
            log.warning("%s: %s", self._name, trouble)
        self._running = None


def _tidy(*tables: LakeTable) -> None:
    for table in tables:
        if table.exists:
            compact_small(table)


def follow(table: SourceTable, settings: Settings, stop: threading.Event, told: Told) -> None:
    """Load the table again and again until `stop`."""
    soon = settings.model_copy(update={"kafka_patience": PATIENCE, "http_retries": RETRIES})
    connector = _Interruptible(connector_for(table, soon), stop)
    every = settings.stream_commit_every.total_seconds()
    lake, tidying, telling = lake_of(settings), _Beside("tidying"), _Beside("telling")
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
            if told.heed(loaded):
                telling.do(told.tell)
            if loaded.receipt.landed or loaded.receipt.quarantined:
                tidying.do(partial(_tidy, loaded.held, lake.quarantine(table)))
            stop.wait(max(0.0, every - (time.monotonic() - began)))
    finally:
        tidying.end()
        telling.end()
        told.tell()
