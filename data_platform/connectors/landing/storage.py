"""Where landed files are, a folder or a bucket: which there are, in the order of their keys, and what they hold.

A key is a file's address below LANDING_URI. Its ETag changes with its content: in a bucket it is the bucket's own,
in a folder the file's size and the moment it was last written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from data_platform.connectors.aws import CONNECTIONS, client, error_code, explained
from data_platform.connectors.base import ReadAgain, SourceError
from data_platform.settings import Settings


@dataclass(frozen=True, order=True)
class Found:
    """One object, as a listing shows it."""

    key: str
    etag: str
    size: int

    @property
    def origin(self) -> str:
        return f"{self.key}@{self.etag}"


class Storage(Protocol):
    """What holds landed files. `readers` is how many threads it is best read by."""

    readers: int

    def listed(self, prefix: str, after: str = "") -> Iterator[Found]:
        """The objects whose keys begin with `prefix` and come after `after`, in the order of their keys."""

    def read(self, found: Found) -> bytes:
        """What the object holds, as it was when it was listed."""

    def address(self, found: Found) -> str: ...


def storage_of(settings: Settings) -> Storage:
    if settings.landing.startswith("s3://"):
        return Bucket(settings)
    return Folder(settings)


class Folder:
    """Files below a folder of this machine."""

    readers = 2

    def __init__(self, settings: Settings) -> None:
        self._root = Path(settings.landing).resolve()

    def listed(self, prefix: str, after: str = "") -> Iterator[Found]:
        if not self._root.is_dir():
            raise SourceError(
                f"landed files are looked for in {self._root}, which is no folder; make it, or set LANDING_URI to "
                "where the files are"
            )
        folder = prefix.rpartition("/")[0]
        try:
            yield from self._below(self._root / folder, f"{folder}/" if folder else "", prefix, after)
        except OSError as error:
            raise SourceError(
                f"{self._root} could not be listed: {error.strerror}; give this user the right to read it (LANDING_URI)"
            ) from None

    def _below(self, folder: Path, key: str, prefix: str, after: str) -> Iterator[Found]:
        """A folder counts with its slash, as in a bucket: so `a.csv` comes before `a/b.csv`."""
        if not folder.is_dir():
            return
        entries = sorted(
            (f"{key}{path.name}{'/' if path.is_dir() else ''}", path) for path in folder.iterdir()
        )
        for below, path in entries:
            if below <= after and not after.startswith(below):
                continue
            if below.endswith("/"):
                yield from self._below(path, below, prefix, after)
            elif below > after and below.startswith(prefix):
                said = path.stat()
                yield Found(below, f"{said.st_size}-{said.st_mtime_ns}", said.st_size)

    def read(self, found: Found) -> bytes:
        try:
            return (self._root / found.key).read_bytes()
        except FileNotFoundError:
            raise ReadAgain(f"{found.key} was taken away after it was listed") from None
        except OSError as error:
            raise SourceError(
                f"{self.address(found)} could not be read: {error.strerror}; give this user the right to read it"
            ) from None

    def address(self, found: Found) -> str:
        return str(self._root / found.key)


class Bucket:
    """Objects of a bucket of S3."""

    readers = CONNECTIONS

    def __init__(self, settings: Settings) -> None:
        self._client: Any = client("s3", settings)
        self._bucket, _, below = settings.landing.removeprefix("s3://").partition("/")
        self._below = f"{below}/" if below else ""

    def listed(self, prefix: str, after: str = "") -> Iterator[Found]:
        asked = {"Bucket": self._bucket, "Prefix": self._below + prefix}
        if after:
            asked["StartAfter"] = self._below + after
        while True:
            with explained("s3", f"the list of s3://{self._bucket}/{self._below}{prefix} (LANDING_URI)"):
                page = self._client.list_objects_v2(**asked)
            for each in page.get("Contents", ()):
                key = each["Key"].removeprefix(self._below)
                yield Found(key, each["ETag"].strip('"'), each["Size"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, found: Found) -> bytes:
        with explained("s3", f"{self.address(found)} (LANDING_URI)"):
            try:
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=self._below + found.key, IfMatch=f'"{found.etag}"'
                )
                return bytes(answer["Body"].read())
            except ClientError as error:
                if error_code(error) in ("NoSuchKey", "404", "PreconditionFailed", "412"):
                    raise ReadAgain(f"{found.key} was changed or taken away after it was listed") from None
                raise

    def address(self, found: Found) -> str:
        return f"s3://{self._bucket}/{self._below}{found.key}"
