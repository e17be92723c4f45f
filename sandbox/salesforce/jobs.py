"""Bulk query jobs: what was asked, how far it is, and the lines of its answer."""

import secrets
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from sandbox.salesforce.encode import moment_text
from sandbox.salesforce.oauth import USER
from sandbox.salesforce.query import Plan

ENDED = ("JobComplete", "Failed", "Aborted")


@dataclass
class Job:
    """One query job. Its answer is fixed when it completes, whatever happens to the records later."""

    plan: Plan
    operation: str
    line_ending: str
    delimiter: str
    created: int
    version: str
    name: str = field(default_factory=lambda: f"750Hs{secrets.token_hex(5)}IAU")
    state: str = "UploadComplete"
    error: str | None = None
    lines: list[bytes] = field(default_factory=list)
    ended: Event = field(default_factory=Event)

    def end(self, state: str, error: str | None = None) -> None:
        self.state, self.error = state, error
        self.ended.set()

    def told(self, *, is_new: bool = False) -> dict[str, Any]:
        """What the API says of it; a new job's answer is shorter."""
        info: dict[str, Any] = {
            "id": self.name,
            "operation": self.operation,
            "object": self.plan.sobject.name,
            "createdById": USER,
            "createdDate": moment_text(self.created),
            "systemModstamp": moment_text(self.created),
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version.removeprefix("v")),
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
        }
        if is_new:
            return info
        info |= {
            "jobType": "V2Query",
            "numberRecordsProcessed": len(self.lines),
            "retries": 0,
            "totalProcessingTime": 0,
            "isPkChunkingSupported": True,
        }
        return info | ({"errorMessage": self.error} if self.error else {})
