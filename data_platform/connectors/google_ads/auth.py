"""How we log in to Google Ads: an access token for our refresh token, and a new one where it has expired."""

import re
from typing import Any, Final

import msgspec
import requests
from pydantic import SecretStr

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.http import BearerAuth, PatientSession
from data_platform.settings import Settings

_TO_CHECK: Final = {
    "invalid_grant": "GOOGLE_ADS_REFRESH_TOKEN; it has expired or was revoked, so make a new one",
    "invalid_client": "GOOGLE_ADS_CLIENT_ID and GOOGLE_ADS_CLIENT_SECRET",
    "unauthorized_client": "that GOOGLE_ADS_REFRESH_TOKEN was made for GOOGLE_ADS_CLIENT_ID",
}


class GoogleAuth(BearerAuth):
    """Logs in by the refresh token, and puts the developer's token beside the one that it gets."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
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
        self._session = PatientSession(
            "Google's login", retries=settings.http_retries, timeout=settings.http_timeout
        )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        with self._renewing:
            if not self._token:
                self.login()
        request.headers.update(self._headers)
        return super().__call__(request)

    def login(self) -> None:
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


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
