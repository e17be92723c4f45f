"""A stand-in for AppFlow's two calls that run a flow, in its REST-JSON protocol. moto has none."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.landing.answering import Answer, AnsweringServer, as_json


class AppFlowServer(AnsweringServer):
    """Flows by name, each with what it does when it runs: `write` puts its files where they land.

    A run is in progress until its records have been asked for so many times; one that is told to fail ends as Error.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.flows: dict[str, Callable[[], int]] = {}
        self.failing: dict[str, str] = {}
        self.looks_until_done = 2
        self.started: list[str] = []
        self._runs: dict[str, list[dict[str, Any]]] = {}
        self._looks: dict[str, int] = {}

    def settings(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_APPFLOW": self.url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
        }

    def add(self, flow: str, write: Callable[[], int]) -> None:
        self.flows[flow] = write

    def fail(self, flow: str, message: str) -> None:
        self.failing[flow] = message

    def start(self, flow: str) -> str:
        """What pressing "Run flow" does."""
        execution = f"run-{len(self.started)}"
        self.started.append(flow)
        self._looks[execution] = 0
        self._runs.setdefault(flow, []).insert(
            0, {"executionId": execution, "executionStatus": "InProgress", "startedAt": 1.0}
        )
        return execution

    def answer(self, method: str, path: str, body: bytes) -> Answer:  # noqa: ARG002
        asked = json.loads(body or b"{}")
        flow = asked.get("flowName", "")
        if flow not in self.flows:
            error = {"x-amzn-ErrorType": "ResourceNotFoundException"}
            return 404, error, b'{"message": "There is no such flow"}'
        if path == "/start-flow":
            return as_json(
                200, {"flowArn": f"arn:{flow}", "flowStatus": "Active", "executionId": self.start(flow)}
            )
        return self._records(flow, int(asked.get("nextToken") or 0))

    def _records(self, flow: str, page: int) -> Answer:
        """One execution a page, so that whoever asks has to turn pages."""
        runs = self._runs.get(flow, [])
        for run in runs if page == 0 else ():
            self._go_on(flow, run)
        held: dict[str, Any] = {"flowExecutions": runs[page : page + 1]}
        if page + 1 < len(runs):
            held["nextToken"] = str(page + 1)
        return as_json(200, held)

    def _go_on(self, flow: str, run: dict[str, Any]) -> None:
        self._looks[run["executionId"]] += 1
        if run["executionStatus"] != "InProgress" or self._looks[run["executionId"]] < self.looks_until_done:
            return
        if flow in self.failing:
            said = {"putFailuresCount": 1, "executionMessage": self.failing[flow]}
            run |= {"executionStatus": "Error", "executionResult": {"errorInfo": said}}
        else:
            run |= {
                "executionStatus": "Successful",
                "executionResult": {"recordsProcessed": self.flows[flow]()},
            }
