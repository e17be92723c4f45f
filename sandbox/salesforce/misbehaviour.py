"""What the server does wrong when it is told to: to which requests, how often, and in which way."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from typing import Literal

from sandbox.salesforce.exchange import Answer, answer_json

Kind = Literal["status", "truncate", "garble", "cut", "slow"]
# What the vendor says with a status, where it is not told otherwise.
USUAL = {
    429: ("REQUEST_LIMIT_EXCEEDED", "Too many requests; try again later."),
    500: (
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you contact support.",
    ),
    503: ("SERVER_UNAVAILABLE", "The server is temporarily unavailable due to maintenance or overload."),
}


@dataclass
class Misbehaviour:
    """Meets `times` requests whose path is like `path` (`*`: anything), once `after` of them went well."""

    kind: Kind
    path: str = "*"
    times: int = 1
    after: int = 0
    status: int = 500
    code: str | None = None
    message: str | None = None
    retry_after: int | None = None
    seconds: float = 0.0

    def answer(self) -> Answer:
        usual_code, usual_message = USUAL.get(self.status, USUAL[500])
        body = [{"message": self.message or usual_message, "errorCode": self.code or usual_code}]
        answer = answer_json(body, self.status)
        if self.retry_after is not None:
            answer.headers["Retry-After"] = str(self.retry_after)
        return answer


class Orders:
    """The misbehaviours still to come, in the order they were given."""

    def __init__(self) -> None:
        self._open: list[Misbehaviour] = []
        self._lock = Lock()

    def add(self, misbehaviour: Misbehaviour) -> None:
        with self._lock:
            self._open.append(misbehaviour)

    def clear(self) -> None:
        with self._lock:
            self._open.clear()

    def count(self) -> int:
        with self._lock:
            return sum(each.times for each in self._open)

    def due(self, path: str) -> Misbehaviour | None:
        """The one that this request meets, if any."""
        with self._lock:
            for each in self._open:
                if not fnmatchcase(path, each.path):
                    continue
                if each.after > 0:
                    each.after -= 1
                    continue
                each.times -= 1
                if each.times <= 0:
                    self._open.remove(each)
                return each
        return None
