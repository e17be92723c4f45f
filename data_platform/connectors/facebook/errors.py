"""What Facebook means by an error code, and what to do about it."""

from typing import Any, Final

import msgspec
import requests

from data_platform.connectors.base import CredentialsRefused, ReadAgain, SourceError

# Limits of the app, the user, the page, the account, and of each business use case.
THROTTLED: Final = frozenset({4, 17, 32, 613, *range(80000, 80015)})
_PASSING: Final = frozenset({1, 2})
_NO_ACCESS: Final = frozenset({3, 10, 200, 803})
_NO_SUCH_OBJECT: Final = 33


def error_of(answer: requests.Response) -> dict[str, Any] | None:
    """The error that an answer holds; None where it is none."""
    if answer.status_code < 400:
        return None
    try:
        said = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) else {"code": 0}


def refusal(error: dict[str, Any], status: int, asked: str) -> SourceError:
    """`asked` is the path of the question, which holds an account or a report, and no token."""
    code = error.get("code")
    refused = f"Facebook refused {asked} with {status}, code {code}"
    if code in (102, 190, 463, 467):
        return CredentialsRefused(
            f"{refused}: the access token has expired or was revoked. Make a new one (a system user's token does "
            "not expire) and set FACEBOOK_ADS_ACCESS_TOKEN"
        )
    if code == 2635:
        return SourceError(
            f"{refused}: this version of the Marketing API is not served any more. Set FACEBOOK_ADS_BASE_URL to one "
            "that is, and compare its insights fields with sources/facebook.py"
        )
    if code in _NO_ACCESS or error.get("error_subcode") == _NO_SUCH_OBJECT:
        return CredentialsRefused(
            f"{refused}: there is no such account, or the token may not read it. Check FACEBOOK_ADS_ACCOUNT_ID, and "
            "that the token has ads_read for the account"
        )
    if code == 100:
        return SourceError(
            f"{refused}: {_says(error)}. A field that is declared in sources/facebook.py is not served under that "
            "name by this version: see docs/source-changes.md"
        )
    if code in _PASSING or error.get("is_transient"):
        return ReadAgain(f"{refused}, which passes by itself")
    return SourceError(f"{refused}, which is not known here. See Facebook's list of error codes")


def _says(error: dict[str, Any]) -> str:
    """Of an invalid parameter Facebook says its name; nothing else that it says is needed."""
    return " ".join(str(error.get("message", "")).split())[:200]
