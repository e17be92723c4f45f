"""Clients of AWS's services from the settings, and their errors in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.settings import Settings

# How many questions are asked at once.
CONNECTIONS = 16

_UNKNOWN_TO_AWS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "403",
    }
)
CREDENTIALS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the role of this machine"


def client(service: str, settings: Settings) -> Any:
    """A client that waits out what passes; what the settings leave open, the SDK finds as it always does."""
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    with explained(service, "the settings of AWS"):
        return boto3.client(
            service,
            endpoint_url=_endpoint(service, settings),
            region_name=settings.aws_region or "us-east-1",
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            aws_session_token=token.get_secret_value() if token else None,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": settings.http_retries + 1},
                connect_timeout=settings.http_timeout,
                read_timeout=settings.http_timeout,
                max_pool_connections=CONNECTIONS,
            ),
        )


def _endpoint(service: str, settings: Settings) -> str | None:
    own = getattr(settings, f"aws_endpoint_url_{service.replace('-', '_')}", None)
    if service == "dynamodbstreams":
        own = settings.aws_endpoint_url_dynamodb_streams or settings.aws_endpoint_url_dynamodb
    return own or settings.aws_endpoint_url


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(service: str, what: str) -> Iterator[None]:
    """The SDK's errors as ours. `what` is what was asked for, with the setting that it comes from."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in _UNKNOWN_TO_AWS:
            raise CredentialsRefused(
                f"AWS refused {what} ({service}: {code}); check {CREDENTIALS}, and what they are allowed"
            ) from None
        raise SourceError(f"AWS could not give {what} ({service}: {code or 'no code'})") from None
    except NoCredentialsError:
        raise CredentialsRefused(f"AWS was not asked for {what}: no credentials; set {CREDENTIALS}") from None
    except (BotoCoreError, ValueError) as error:
        # The SDK's own words quote addresses with keys of objects in them; its kind of error says enough.
        raise SourceError(
            f"AWS could not be asked for {what} ({service}: {type(error).__name__}); see whether it can be reached "
            "from here, and whether AWS_ENDPOINT_URL is right where it is set"
        ) from None
