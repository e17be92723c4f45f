"""The Graph API over HTTP: our token on each request, and the pauses that the usage headers ask for."""

from collections.abc import Mapping
from typing import Any

import msgspec
import requests

from data_platform.connectors.base import CredentialsRefused
from data_platform.connectors.facebook.errors import THROTTLED, error_of, refusal
from data_platform.connectors.http import HeaderAuth, PatientSession
from data_platform.connectors.patience import Patience
from data_platform.settings import Settings

# Facebook counts the time to regain access in minutes.
MINUTE = 60.0
# From this share of a limit on, the next question waits a minute rather than being refused.
FULL = 95.0
_BUSINESS = "X-Business-Use-Case-Usage"
_INSIGHTS = "x-fb-ads-insights-throttle"


class Graph:
    """What this folder asks of Facebook. Nothing is opened before the first question."""

    def __init__(self, settings: Settings) -> None:
        self._base_url = (settings.facebook_ads_base_url or "").rstrip("/")
        token = settings.facebook_ads_access_token
        self._session = PatientSession(
            "Facebook", retries=settings.http_retries, timeout=settings.http_timeout
        )
        # Not in the address, which is written to logs on its way.
        self._session.auth = HeaderAuth(
            {"Authorization": f"Bearer {token.get_secret_value() if token else ''}"}
        )
        self.patience = Patience("Facebook", settings.window_patience)
        self._pause = 0.0
        if not self._base_url or not token:
            raise CredentialsRefused(
                "Facebook can't be asked: set FACEBOOK_ADS_BASE_URL (https://graph.facebook.com/v23.0), "
                "FACEBOOK_ADS_ACCESS_TOKEN and FACEBOOK_ADS_ACCOUNT_ID, or start the sandbox"
            )

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, **form: Any) -> requests.Response:
        return self._ask("POST", path, data=form)

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        while True:
            if self._pause:
                self.patience.wait(self._pause, "its usage limit is reached")
            answer = self._session.request(method, f"{self._base_url}/{path}", **options)
            self._pause = _pause_asked(answer.headers)
            error = error_of(answer)
            if error is None:
                return answer
            if error.get("code") not in THROTTLED:
                raise refusal(error, answer.status_code, path)
            self._pause = self._pause or MINUTE


def _pause_asked(headers: Mapping[str, str]) -> float:
    """The seconds until this account may be asked again, by what both headers say of our usage."""
    minutes, used = 0.0, 0.0
    for limits in _said(headers.get(_BUSINESS, "")).values():
        for limit in limits if isinstance(limits, list) else []:
            minutes = max(minutes, float(limit.get("estimated_time_to_regain_access", 0)))
    insights = _said(headers.get(_INSIGHTS, ""))
    for share in ("app_id_util_pct", "acc_id_util_pct"):
        used = max(used, float(insights.get(share) or 0))
    return minutes * MINUTE or (MINUTE if used >= FULL else 0.0)


def _said(header: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(header, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
