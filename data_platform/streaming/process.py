"""The continuous process: a thread per table, ended by a signal or by what no waiting mends."""

import logging
import signal
import threading
from collections.abc import Sequence

import dagster as dg

from data_platform.declarations import SourceTable, Stream
from data_platform.described import bronze_key
from data_platform.settings import Settings
from data_platform.streaming.following import follow
from data_platform.streaming.reports import Reports

log = logging.getLogger(__name__)


def stream(tables: Sequence[SourceTable], settings: Settings, instance: dg.DagsterInstance) -> None:
    """Follow these tables until SIGTERM or SIGINT; a second one ends the process at once."""
    for table in tables:
        if not isinstance(table.load, Stream):
            raise LookupError(
                f"{table.system}.{table.name} is no stream: it is loaded {table.every.value} by its schedule"
            )
    stop = threading.Event()
    _stop_by_signal(stop)
    for table in tables:
        # Dagster makes its storage ready when it is first asked, which takes seconds that no load should wait for.
        instance.get_latest_materialization_event(bronze_key(table))
    troubles: list[Exception] = []
    every = settings.stream_report_every.total_seconds()

    def followed(table: SourceTable) -> None:
        try:
            follow(table, settings, stop, Reports(table, instance, every))
        except Exception as trouble:
            troubles.append(trouble)
            stop.set()

    threads = [threading.Thread(target=followed, args=[table], name=table.silver_name) for table in tables]
    for thread in threads:
        thread.start()
    log.info("following %s", ", ".join(table.silver_name for table in tables))
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    log.info("stopped; what was read is committed up to each table's position")


def _stop_by_signal(stop: threading.Event) -> None:
    def heed(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, heed)
