"""The questions that we put to Salesforce, in SOQL, and the places in its order that bound them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime


@dataclass(frozen=True, order=True)
class Place:
    """A place in the order by cursor and key. An empty key comes before every key."""

    cursor: datetime
    key: str = ""


def moment(text: str) -> datetime:
    """A moment as a position or the vendor writes it."""
    return datetime.fromisoformat(text)


def written(at: datetime) -> str:
    """A moment as SOQL and a position write it, in the precision that the vendor keeps."""
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@dataclass(frozen=True)
class Question:
    """The rows of an object that lie beyond one place and before an end; without either, all of them."""

    reads: str
    fields: Sequence[str]
    cursor: str
    key: str
    end: datetime | None = None
    after: Place | None = None
    only: str | None = None

    def beyond(self, place: Place) -> "Question":
        """The same question from a later place on."""
        return replace(self, after=place)

    def naming(self, fields: Sequence[str]) -> "Question":
        """The same question for other fields."""
        return replace(self, fields=fields)

    @property
    def select(self) -> str:
        return f"SELECT {', '.join(self.fields)} {self._from}"

    @property
    def select_in_order(self) -> str:
        return f"{self.select} ORDER BY {self.cursor}, {self.key}"

    @property
    def count(self) -> str:
        return f"SELECT COUNT() {self._from}"

    @property
    def _from(self) -> str:
        conditions = []
        if self.after:
            conditions.append(self._is_beyond(self.after))
        if self.end:
            conditions.append(f"{self.cursor} < {written(self.end)}")
        if self.only:
            conditions.append(self.only)
        return f"FROM {self.reads}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")

    def _is_beyond(self, place: Place) -> str:
        at = written(place.cursor)
        if not place.key:
            return f"{self.cursor} >= {at}"
        return f"({self.cursor} > {at} OR ({self.cursor} = {at} AND {self.key} > '{escaped(place.key)}'))"


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def is_live(marks_deleted: bool) -> str | None:
    """The condition that leaves deleted rows out, where the object marks them."""
    return "IsDeleted = false" if marks_deleted else None
