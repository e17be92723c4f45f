"""A request as the org reads it and the answer it gives, apart from how the two travel."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from sandbox.salesforce.errors import ApiError


@dataclass(frozen=True)
class Request:
    """`parameters` are the query string's; `headers` are found in any case."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Message
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        try:
            read = json.loads(self.body or b"{}")
        except ValueError as error:
            raise ApiError("JSON_PARSER_ERROR", f"The HTTP entity body is not valid JSON: {error}") from None
        if not isinstance(read, dict):
            raise ApiError("JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object")
        return read


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)


def answer_json(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False).encode(), status)


def answer_error(error: ApiError) -> Answer:
    return answer_json([{"message": error.message, "errorCode": error.code}], error.status)
