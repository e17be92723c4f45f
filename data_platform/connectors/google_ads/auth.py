"""How we log in to Google Ads: an access token for our refresh token, and a new one where it has expired."""

import re
import threading
from typing import Any, Final

import msgspec
import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.http import PatientSession
from data_platform.settings import Settings

_TO_CHECK: Final = {
    "invalid_grant": "GOOGLE_ADS_REFRESH_TOKEN; it has expired or was revoked, so make a new one",
    "invalid_client": "GOOGLE_ADS_CLIENT_ID and GOOGLE_ADS_CLIENT_SECRET",
    "unauthorized_client": "that GOOGLE_ADS_REFRESH_TOKEN was made for GOOGLE_ADS_CLIENT_ID",
}


class GoogleAuth(AuthBase):
    """Puts our tokens on a request, and asks for a new one, once, when Google says that it has expired."""

    def __init__(self, settings: Settings) -> None:
        self._form = {
            "grant_type": "refresh_token",
            "client_id": settings.google_ads_client_id or "",
            "client_secret": _told(settings.google_ads_client_secret),
            "refresh_token": _told(settings.google_ads_refresh_token),
        }
        self._headers = {"developer-token": _told(settings.google_ads_developer_token)}
        if missing := [name for name, value in (self._form | self._headers).items() if not value]:
            names = ", ".join(f"GOOGLE_ADS_{name.replace('-', '_').upper()}" for name in missing)
            raise CredentialsRefused(f"Google Ads can't be asked: set {names}, or start the sandbox")
        if settings.google_ads_login_customer_id:
            self._headers["login-customer-id"] = settings.google_ads_login_customer_id.replace("-", "")
        self._url = settings.google_ads_token_url
        # A session of its own: a login must not itself carry the token.
        self._session = PatientSession(
            "Google's login", retries=settings.http_retries, timeout=settings.http_timeout
        )
        self._renewing = threading.Lock()
        self._token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self._token:
            self._login()
        request.headers.update(self._headers)
        request.headers["Authorization"] = f"Bearer {self._token}"
        request.register_hook("response", self._renew_where_expired)  # type: ignore[no-untyped-call]
        return request

    def _login(self) -> None:
        answer = self._session.post(self._url, data=self._form)
        try:
            said = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            said = {}
        if answer.status_code == 200 and said.get("access_token"):
            self._token = said["access_token"]
            return
        # Only a code: the description may quote what was sent.
        code = str(said.get("error", ""))
        if not re.fullmatch(r"[a-z_]{1,50}", code):
            raise SourceError(
                f"Google gave no token: {self._url} answered {answer.status_code} with neither a token nor a reason. "
                "Check GOOGLE_ADS_TOKEN_URL"
            )
        to_check = _TO_CHECK.get(code, "the OAuth client in Google's console")
        raise CredentialsRefused(f"Google refused the login ({code}). Check {to_check}")

    def _renew_where_expired(self, answer: requests.Response, **options: Any) -> requests.Response:
        if answer.status_code != 401:
            return answer
        with self._renewing:
            # Another thread may have renewed it since this request left.
            if answer.request.headers["Authorization"] == f"Bearer {self._token}":
                self._login()
        # The connection can't be used again before its answer was read to the end.
        _ = answer.content
        answer.close()
        again = answer.request.copy()
        again.headers["Authorization"] = f"Bearer {self._token}"
        renewed: requests.Response = answer.connection.send(again, **options)
        renewed.request = again
        renewed.history.append(answer)
        return renewed


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
