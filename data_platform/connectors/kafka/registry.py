"""The schema registry: the schema that a message names, asked once. One that is down is waited for; nothing is
poison because of it."""

import threading
import time
from typing import Any, Final
from urllib.parse import quote

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.http import PatientSession
from data_platform.settings import Settings

# What names a schema begins with a zero byte and the schema's id in four (Confluent's framing).
FRAMED: Final = b"\x00"
FRAME: Final = 5
# What was not known may be by now; a schema that is known never changes.
UNKNOWN_FOR = 60.0
# No such subject, version, schema.
NOT_FOUND: Final = (40401, 40402, 40403)
NAME = "the schema registry"


class Registry:
    """Schemas by their ids, as Confluent's API hands them out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[int, dict[str, Any]] = {}
        self._unknown: dict[int, float] = {}
        self._asking = threading.Lock()
        self._session = PatientSession(
            NAME,
            retries=settings.http_retries,
            timeout=settings.http_timeout,
            ca_bundle=settings.schema_registry_ca_location,
        )
        if settings.schema_registry_username and settings.schema_registry_password:
            password = settings.schema_registry_password.get_secret_value()
            self._session.auth = (settings.schema_registry_username, password)

    @property
    def has_address(self) -> bool:
        return bool(self._settings.schema_registry_url)

    def schema(self, number: int) -> dict[str, Any] | None:
        """`schema` (its text), `schemaType` and `references`; None where the registry knows no such id."""
        with self._asking:
            if number in self._known:
                return self._known[number]
            if time.monotonic() - self._unknown.get(number, -UNKNOWN_FOR) < UNKNOWN_FOR:
                return None
            found = self._ask(f"schemas/ids/{number}")
            if found is None:
                self._unknown[number] = time.monotonic()
            else:
                self._known[number] = found
            return found

    def version(self, subject: str, version: int) -> dict[str, Any] | None:
        """A schema that another one refers to."""
        with self._asking:
            return self._ask(f"subjects/{quote(subject, safe='')}/versions/{version}")

    def _ask(self, path: str) -> dict[str, Any] | None:
        base = self._settings.schema_registry_url
        if not base:
            raise SourceError(
                "messages name a schema, and SCHEMA_REGISTRY_URL is not set; set it to the registry that has it"
            )
        answer = self._session.get(f"{base.rstrip('/')}/{path}")
        if answer.status_code in (401, 403):
            raise CredentialsRefused(
                f"{NAME} at {base} refuses the login ({answer.status_code}); correct SCHEMA_REGISTRY_USERNAME and "
                "SCHEMA_REGISTRY_PASSWORD"
            )
        told = _told(answer)
        # Any web server says 404; only the registry says that it has no such schema.
        if answer.status_code == 404 and told.get("error_code") in NOT_FOUND:
            return None
        if answer.status_code != 200 or "schema" not in told:
            raise SourceError(
                f"{NAME} at {base} answered {answer.status_code} when asked for a schema; see that SCHEMA_REGISTRY_URL "
                "is the address of its API, then run again; the position stands"
            )
        return told


def _told(answer: Any) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
