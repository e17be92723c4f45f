"""How we log in to Salesforce: the grant that the settings choose, and a new token where one has expired."""

import base64
import re
import time
from typing import Any, Final

import msgspec
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.http import BearerAuth
from data_platform.settings import Settings

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_LIFETIME = 180

_TO_CHECK: Final = {
    "invalid_client_id": "SALESFORCE_CLIENT_ID",
    "invalid_client": "SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET",
    "invalid_client_credentials": "SALESFORCE_CLIENT_SECRET",
    "inactive_user": "that the user behind the login is active",
    "inactive_org": "SALESFORCE_LOGIN_URL; the org that it leads to is locked or closed",
}
_GRANT_TO_CHECK: Final = {
    "refresh_token": "SALESFORCE_REFRESH_TOKEN (it may have been revoked)",
    JWT_BEARER: "SALESFORCE_USERNAME and SALESFORCE_PRIVATE_KEY, and that the app is approved for the user",
    "client_credentials": "SALESFORCE_CLIENT_SECRET, and that the connected app has a user to run as",
}


class SalesforceAuth(BearerAuth):
    """Logs in by the grant that the settings choose."""

    def __init__(self, settings: Settings, session: requests.Session) -> None:
        super().__init__()
        self._settings = settings
        self._session = session
        self.instance_url = ""

    def login(self) -> None:
        if not self._settings.salesforce_login_url:
            raise CredentialsRefused(
                "Salesforce can't be asked: SALESFORCE_LOGIN_URL is not set. Set it to the org's My Domain "
                "address (and the credentials beside it), or start the sandbox"
            )
        form = _grant(self._settings)
        login_url = self._settings.salesforce_login_url.rstrip("/")
        answer = self._session.post(f"{login_url}/services/oauth2/token", data=form)
        said = _json_object(answer)
        token, instance_url = said.get("access_token"), said.get("instance_url")
        if answer.status_code == 200 and token and instance_url:
            self._token, self.instance_url = token, instance_url
            return
        if "error" not in said:
            raise SourceError(
                f"Salesforce gave no token: {login_url}/services/oauth2/token answered {answer.status_code} "
                "with neither a token nor a reason. Check SALESFORCE_LOGIN_URL"
            )
        raise CredentialsRefused(_refusal(str(said["error"]), form["grant_type"], login_url))


def _grant(settings: Settings) -> dict[str, str]:
    """The grant that the settings choose: a refresh token, a user with a key, or the app itself."""
    client_id = _needed(settings.salesforce_client_id, "SALESFORCE_CLIENT_ID")
    secret = settings.salesforce_client_secret
    if settings.salesforce_refresh_token:
        form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "refresh_token": settings.salesforce_refresh_token.get_secret_value(),
        }
        return form | ({"client_secret": secret.get_secret_value()} if secret else {})
    if settings.salesforce_private_key or settings.salesforce_username:
        user = _needed(settings.salesforce_username, "SALESFORCE_USERNAME")
        key = _needed(settings.salesforce_private_key, "SALESFORCE_PRIVATE_KEY")
        audience = (settings.salesforce_login_url or "").rstrip("/")
        return {"grant_type": JWT_BEARER, "assertion": _assertion(client_id, user, audience, key)}
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": _needed(secret, "SALESFORCE_CLIENT_SECRET"),
    }


def _needed(value: str | SecretStr | None, setting: str) -> str:
    if not value:
        raise CredentialsRefused(
            f"Salesforce can't be asked: {setting} is not set. Set SALESFORCE_CLIENT_ID and one of: "
            "SALESFORCE_REFRESH_TOKEN; SALESFORCE_USERNAME and SALESFORCE_PRIVATE_KEY; "
            "SALESFORCE_CLIENT_SECRET alone"
        )
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _assertion(client_id: str, username: str, audience: str, private_key: str) -> str:
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CredentialsRefused(
            "Salesforce can't be asked: SALESFORCE_PRIVATE_KEY is not an RSA private key in PEM without a "
            "password. Set the key whose certificate the connected app holds"
        )
    claims = {"iss": client_id, "sub": username, "aud": audience, "exp": int(time.time()) + JWT_LIFETIME}
    signed = b".".join(_base64url(msgspec.json.encode(part)) for part in ({"alg": "RS256"}, claims))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def _json_object(answer: requests.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _refusal(error: str, grant: str, login_url: str) -> str:
    # Only a code: the description may quote what was sent.
    code = error if re.fullmatch(r"[a-z_]{1,50}", error) else "an unknown error"
    to_check = _TO_CHECK.get(code, _GRANT_TO_CHECK[grant])
    return f"Salesforce at {login_url} refused the login ({code}). Check {to_check}"
