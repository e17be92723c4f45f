"""AppFlow: a flow started when its table is loaded, and followed to its end; then its files are read as any others.

A flow that runs by a schedule of its own is not started: its table has no name in APPFLOW_FLOWS.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from data_platform.connectors.aws import client, error_code, explained
from data_platform.connectors.base import Landed, Offer, SourceError
from data_platform.connectors.landing.connector import LandingFiles
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

FIRST_LOOK = 1.0
LONGEST_LOOK = 30.0
_STILL_RUNS = ("InProgress", "CancelStarted")


class AppFlow:
    """Reads what AppFlow lands of another system's tables (`connectors.base.Connector`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = LandingFiles(settings)

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        notes = []
        if flow := self._settings.appflow_flows.get(table.name):
            notes.append(follow(flow, self._settings))
        offer = self._files.offer(table, landed)
        offer.notes.extend(notes)
        return offer


def follow(flow: str, settings: Settings) -> str:
    """Run the flow to its end, and say what it did. One that runs already, started by a load that was killed or by
    hand, is followed instead of a second one."""
    appflow = client("appflow", settings)
    running = next(
        (each for each in _executions(appflow, flow) if each["executionStatus"] in _STILL_RUNS), None
    )
    execution = running["executionId"] if running else _start(appflow, flow)
    deadline = time.monotonic() + settings.appflow_patience.total_seconds()
    pause = FIRST_LOOK
    while True:
        record = next((each for each in _executions(appflow, flow) if each["executionId"] == execution), None)
        if record and record["executionStatus"] not in _STILL_RUNS:
            return _ended(flow, record)
        if time.monotonic() + pause > deadline:
            raise SourceError(
                f"AppFlow's flow {flow!r} (execution {execution}) was not done after {settings.appflow_patience}; run "
                "again to follow it on, or allow more by APPFLOW_PATIENCE"
            )
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_LOOK)


def _start(appflow: Any, flow: str) -> str:
    with _explained(flow):
        return str(appflow.start_flow(flowName=flow)["executionId"])


def _executions(appflow: Any, flow: str) -> Iterator[Mapping[str, Any]]:
    """The flow's executions, newest first."""
    asked = {"flowName": flow}
    while True:
        with _explained(flow):
            page = appflow.describe_flow_execution_records(**asked)
        yield from page.get("flowExecutions", ())
        if not page.get("nextToken"):
            return
        asked["nextToken"] = page["nextToken"]


def _ended(flow: str, record: Mapping[str, Any]) -> str:
    result = record.get("executionResult", {})
    if record["executionStatus"] == "Successful":
        return f"AppFlow's flow {flow!r} was run and moved {result.get('recordsProcessed', 0):,} records"
    said = result.get("errorInfo", {})
    raise SourceError(
        f"AppFlow's flow {flow!r} ended as {record['executionStatus']} (execution {record['executionId']}, "
        f"{said.get('putFailuresCount', 0)} files not written): {_in_short(said.get('executionMessage'))}. "
        "Correct the flow in AppFlow and run again; the position stands"
    )


def _in_short(message: str | None) -> str:
    return message.splitlines()[0][:300].rstrip(".") if message else "AppFlow gave no reason"


@contextmanager
def _explained(flow: str) -> Iterator[None]:
    with explained("appflow", f"flow {flow!r} (APPFLOW_FLOWS)"):
        try:
            yield
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            raise SourceError(
                f"AppFlow has no flow {flow!r}; correct APPFLOW_FLOWS, or AWS_REGION if it is another region's"
            ) from None
