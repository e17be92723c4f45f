"""What Google Ads means by its failures, and what to do about them."""

import re
from typing import Any, Final

import msgspec
import requests

from data_platform.connectors.base import CredentialsRefused, QuotaReached, ReadAgain, SourceError

_ACCOUNT: Final = frozenset(
    {
        "CUSTOMER_NOT_FOUND",
        "CLIENT_CUSTOMER_ID_INVALID",
        "INVALID_CUSTOMER_ID",
        "USER_PERMISSION_DENIED",
        "CUSTOMER_NOT_ENABLED",
    }
)
_PASSING: Final = frozenset(
    {"INTERNAL_ERROR", "TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL"}
)
_QUOTA: Final = frozenset(
    {"RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED", "EXCESSIVE_LONG_TERM_QUERY_COST"}
)
_CODE: Final = re.compile(r"[A-Z_]{3,60}")


def give_way_to_its_delay(answer: requests.Response) -> None:
    """Google says in the body how long to stay away; as a header it is waited out like anyone's."""
    if answer.status_code == 429 and (delay := re.search(rb'"retryDelay"\s*:\s*"(\d+)', answer.content)):
        answer.headers["Retry-After"] = delay[1].decode()


def error_of(answer: requests.Response) -> dict[str, Any] | None:
    """The error that an answer holds; a stream's is in a list. None where it is none."""
    if answer.status_code < 400:
        return None
    try:
        said = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        said = {}
    first = said[0] if isinstance(said, list) and said else said
    error = first.get("error") if isinstance(first, dict) else None
    return error if isinstance(error, dict) else {}


def refusal(error: dict[str, Any], status: int, asked: str) -> SourceError:
    """`asked` is the path of the question, which holds a customer and no token."""
    codes, says = _failure(error)
    refused = f"Google Ads refused {asked} with {status} {', '.join(codes)}"
    kinds = set(codes)
    if any(code.startswith("DEVELOPER_TOKEN") for code in codes):
        return CredentialsRefused(
            f"{refused}: check GOOGLE_ADS_DEVELOPER_TOKEN, and in the API Center that it is approved for "
            "accounts that are no test accounts"
        )
    if kinds & _ACCOUNT:
        return CredentialsRefused(
            f"{refused}: there is no such customer, or this login may not read it. Check GOOGLE_ADS_CUSTOMER_ID, and "
            "GOOGLE_ADS_LOGIN_CUSTOMER_ID where it is reached through a manager account"
        )
    if "UNSUPPORTED_VERSION" in kinds:
        return SourceError(
            f"{refused}: this version of the API is not served any more. Set GOOGLE_ADS_BASE_URL to one that is, and "
            "compare its fields with sources/google.py"
        )
    if any(code.startswith(("UNRECOGNIZED_FIELD", "PROHIBITED", "BAD_FIELD")) for code in codes):
        return SourceError(
            f"{refused}: {says}. A field that is declared in sources/google.py is not served under that name by "
            "this version: see docs/source-changes.md"
        )
    if kinds & _QUOTA:
        return QuotaReached(f"{refused}: its quota is spent. What is committed stands; run again later")
    if status == 401:
        return CredentialsRefused(
            f"{refused}: it refused a token that it had just given. Check that the login's scope is adwords"
        )
    if kinds & _PASSING:
        return ReadAgain(f"{refused}, which passes by itself")
    return SourceError(f"{refused}, which is not known here. See Google's list of error codes")


def _failure(error: dict[str, Any]) -> tuple[list[str], str]:
    """The codes of a failure, from the outermost in; and of a query's fault what it says, which names fields."""
    codes, says = [str(error.get("status", ""))], ""
    for detail in error.get("details", []):
        for failure in detail.get("errors", []):
            codes += failure.get("errorCode", {}).values()
            if "queryError" in failure.get("errorCode", {}):
                says = " ".join(str(failure.get("message", "")).split())[:200]
    known = [code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)]
    return known or ["without a reason"], says
