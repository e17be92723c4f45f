"""How we log in to Snowflake: by an OAuth client or token, a key pair, or a password, whichever is set."""

from typing import Any

from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from data_platform.connectors.base import CredentialsRefused
from data_platform.settings import Settings

WAYS = (
    "SNOWFLAKE_OAUTH_CLIENT_ID with SNOWFLAKE_OAUTH_CLIENT_SECRET; SNOWFLAKE_OAUTH_TOKEN; "
    "SNOWFLAKE_PRIVATE_KEY; SNOWFLAKE_PASSWORD"
)


def way_of(settings: Settings) -> str:
    """The settings that are logged in with, by name."""
    if settings.snowflake_oauth_client_id:
        return "SNOWFLAKE_OAUTH_CLIENT_ID and SNOWFLAKE_OAUTH_CLIENT_SECRET"
    if settings.snowflake_oauth_token:
        return "SNOWFLAKE_OAUTH_TOKEN"
    if settings.snowflake_private_key:
        return "SNOWFLAKE_PRIVATE_KEY and SNOWFLAKE_USERNAME"
    return "SNOWFLAKE_USERNAME and SNOWFLAKE_PASSWORD"


def reaching(settings: Settings) -> dict[str, Any]:
    """What the connector is given to find the account and to log in: one that ends where nobody answers."""
    if not settings.snowflake_account:
        raise CredentialsRefused(
            "Snowflake can't be asked: SNOWFLAKE_ACCOUNT is not set. Set it, SNOWFLAKE_USERNAME and one of: "
            f"{WAYS}; or start the sandbox"
        )
    told: dict[str, Any] = {
        "account": settings.snowflake_account,
        "user": settings.snowflake_username,
        "application": "data_platform",
        "login_timeout": settings.database_login_timeout,
        "network_timeout": settings.database_network_timeout,
    }
    if settings.snowflake_host:
        told |= {
            "host": settings.snowflake_host,
            "port": settings.snowflake_port,
            "protocol": settings.snowflake_protocol,
        }
    return told | credentials(settings)


def credentials(settings: Settings) -> dict[str, Any]:
    """What the connector is given to log in with."""
    if client := settings.snowflake_oauth_client_id:
        secret = _needed(settings.snowflake_oauth_client_secret, "SNOWFLAKE_OAUTH_CLIENT_SECRET")
        said = {
            "authenticator": "OAUTH_CLIENT_CREDENTIALS",
            "oauth_client_id": client,
            "oauth_client_secret": secret,
        }
        if settings.snowflake_oauth_token_url:
            said["oauth_token_request_url"] = settings.snowflake_oauth_token_url
        return said
    if token := settings.snowflake_oauth_token:
        return {"authenticator": "oauth", "token": token.get_secret_value()}
    if key := settings.snowflake_private_key:
        return {"private_key": _der(key, settings.snowflake_private_key_passphrase)}
    return {"password": _needed(settings.snowflake_password, "SNOWFLAKE_PASSWORD")}


def _needed(value: SecretStr | None, setting: str) -> str:
    if value is None:
        raise CredentialsRefused(
            f"Snowflake can't be asked: {setting} is not set. Set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USERNAME and one "
            f"of: {WAYS}; or start the sandbox"
        )
    return value.get_secret_value()


def _der(key: SecretStr, passphrase: SecretStr | None) -> bytes:
    """The key as the connector takes it; a passphrase is for a key that is encrypted."""
    password = passphrase.get_secret_value().encode() if passphrase else None
    try:
        loaded = serialization.load_pem_private_key(key.get_secret_value().encode(), password)
    except (ValueError, TypeError):
        raise CredentialsRefused(
            "Snowflake can't be asked: SNOWFLAKE_PRIVATE_KEY is no private key in PEM, or "
            "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE does not open it. Set the key whose public half the user holds"
        ) from None
    return loaded.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
