"""Reading by days: which days a load consists of, in which slices, and what is gone from them.

A source that restates its numbers is read up to yesterday: today is not over, and would change with every load.
Days that may have changed since they were read (the last `restated` of them) are read again each time. The position
says of each account the first and the last day that was read, so one that is added later gets its own first load.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from data_platform.connectors.ahead import begun_ahead
from data_platform.connectors.base import Batch, Drift, Landed, Offer, Part, Position, SourceError
from data_platform.connectors.records import Rows, bronze_rows
from data_platform.declarations import SourceTable, Window
from data_platform.lake.schema import connector_schema

ONE_DAY = timedelta(days=1)
# Days that are asked for at once: what a killed load reads again at most, and what one answer has to hold.
SLICE = timedelta(days=7)
RENEWED_EVERY = timedelta(days=7)
# Pieces of answers that wait to be written.
AHEAD = 2


@dataclass(frozen=True)
class Days:
    """From the first to the last, both included."""

    first: date
    last: date

    def slices(self) -> Iterator["Days"]:
        first = self.first
        while first <= self.last:
            last = min(first + SLICE - ONE_DAY, self.last)
            yield Days(first, last)
            first = last + ONE_DAY


@dataclass(frozen=True)
class Account:
    """Whose days are read. `column` names the account in the table's rows, where it holds several.

    `yesterday` is the account's last whole day by the source's clock and the account's own time zone.
    """

    id: str
    yesterday: date
    column: str = ""


Read = Callable[[Account, Days], Iterator[pa.RecordBatch]]
Count = Callable[[Account, Days], int]


@dataclass(frozen=True)
class _Answered:
    """A piece of what was answered to a question: first how many rows the source counts there, then the rows."""

    counted: int | None = None
    rows: pa.RecordBatch | None = None


@dataclass
class WindowedLoad:
    """One load of one table by days. `read` gives the bronze rows of some days of an account, `count` how many the
    source says there are; without a count the receipt compares none."""

    table: SourceTable
    landed: Landed
    accounts: Sequence[Account]
    history: timedelta
    read: Read
    count: Count | None = None
    asked: tuple[date, date] | None = None
    # Whether a row is about its day. If not, the day says when it was last seen: then all days are one question,
    # the same row on another day is no new one, and a row that does not show is not gone.
    about_its_day: bool = True
    drift: Sequence[Drift] = ()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.table.load, Window):
            raise SourceError(
                f"{self.table.system}.{self.table.name} is declared as {type(self.table.load).__name__}, and its "
                "source is read by days. Declare load=Window(day=…, restated=…)"
            )
        self._day = self.table.load.day
        self._restated = self.table.load.restated
        # Nothing of an empty table landed before, or can be gone.
        self._is_first = self.landed.position is None
        known = self.landed.position or {}
        self._begun = {account: date.fromisoformat(day) for account, day in known.get("from", {}).items()}
        self._reached = {account: date.fromisoformat(day) for account, day in known.get("days", {}).items()}

    def offer(self) -> Offer:
        days = {account.id: self._days(account) for account in self.accounts}
        after_all = dict(self._reached)
        for account in self.accounts:
            self._go_on(after_all, account, days[account.id])
        return Offer(
            self._parts(days), self._position(after_all), self.drift, self._is_behind(after_all), self.notes
        )

    def _days(self, account: Account) -> Days:
        reached = self._reached.get(account.id)
        if self.asked:
            return Days(self.asked[0], min(self.asked[1], account.yesterday))
        if reached is None:
            return Days(account.yesterday - max(self.history, self._restated) + ONE_DAY, account.yesterday)
        # Whatever could still change when it was read last, also where that was long ago.
        again = reached - self._restated + ONE_DAY
        return Days(max(again, self._begun.get(account.id, again)), account.yesterday)

    def _go_on(self, reached: dict[str, date], account: Account, days: Days) -> None:
        """Days that were asked for leave the position: the ones before them may have changed since."""
        if not self.asked:
            reached[account.id] = max(days.last, reached.get(account.id, days.last))
            self._begun.setdefault(account.id, days.first)

    def _position(self, reached: Mapping[str, date]) -> Position:
        return {"days": _written(reached), "from": _written(self._begun)}

    def _is_behind(self, after_all: Mapping[str, date]) -> bool:
        """Days without a row move no position by themselves, and would be asked for again by every load."""
        known = [self._reached.get(account, date.min) for account in after_all]
        return any(
            day - before > RENEWED_EVERY for day, before in zip(after_all.values(), known, strict=True)
        )

    def _parts(self, days: Mapping[str, Days]) -> Iterator[Part]:
        questions = [
            (account, some) for account in self.accounts for some in self._questions(days[account.id])
        ]
        # The source works on the next question while the answer to this one is written.
        answers = begun_ahead((self._answer(*question) for question in questions), AHEAD)
        for (account, some), answer in zip(questions, answers, strict=True):
            keys: list[pa.Table] = []
            yield self._rows(account, some, answer, keys)
            gone = self._gone(account, some, keys) if self.about_its_day and not self._is_first else None
            self._go_on(self._reached, account, some)
            if gone and gone.num_rows:
                batches = iter([Batch(gone, self._position(self._reached))])
                yield Part(batches, gone.num_rows, self._identity, since=some.first, until=some.last)

    def _answer(self, account: Account, days: Days) -> Iterator[_Answered]:
        yield _Answered(counted=self.count(account, days) if self.count else None)
        for rows in self.read(account, days):
            yield _Answered(rows=rows)

    def _questions(self, days: Days) -> Iterator[Days]:
        if self.about_its_day:
            return days.slices()
        return iter([days] if days.first <= days.last else [])

    @property
    def _identity(self) -> tuple[str, ...]:
        """What makes a row a new one: any of its values."""
        names = (
            column.name for column in self.table.columns if self.about_its_day or column.name != self._day
        )
        return (*names, "_op", "_rescued")

    def _rows(self, account: Account, days: Days, answer: Iterator[_Answered], keys: list[pa.Table]) -> Part:
        return Part(
            self._batches(answer, keys),
            next(answer).counted,
            self._identity,
            since=days.first,
            until=days.last,
            may_repeat=not self._is_first,
            recount=partial(self.count, account, days) if self.count else None,
        )

    def _batches(self, answer: Iterator[_Answered], keys: list[pa.Table]) -> Iterator[Batch]:
        # What is committed of these days before all are read is read again, and known then.
        before = self._position(self._reached)
        for piece in answer:
            if piece.rows is not None:
                keys.append(pa.Table.from_batches([piece.rows]).select([*self.table.key]))
                yield Batch(piece.rows, before)

    def _gone(self, account: Account, days: Days, keys: Sequence[pa.Table]) -> pa.RecordBatch:
        """Rows that landed from these days and are not there any more: their keys and days, and no more."""
        key = [*self.table.key]
        told = list(dict.fromkeys((*key, self._day)))
        columns = list(dict.fromkeys((*told, *([account.column] if account.column else []))))
        schema = connector_schema(self.table)
        live = self.landed.live_between(days.first, days.last, columns)
        live = live.cast(pa.schema([schema.field(name) for name in columns]))
        if account.column:
            live = live.filter(pc.equal(live.column(account.column), account.id))
        missing = (
            live.join(pa.concat_tables(keys), key, join_type="left anti", use_threads=False) if keys else live
        )
        known = {name: missing.column(name).combine_chunks() for name in told}
        rows = Rows(known, pa.nulls(missing.num_rows, pa.string()))
        return bronze_rows(self.table, rows, op="delete", origin="gone")


def yesterday(now: datetime, time_zone: str, of: str) -> date:
    try:
        return (now.astimezone(ZoneInfo(time_zone)) - ONE_DAY).date()
    except (ZoneInfoNotFoundError, ValueError):
        raise SourceError(
            f"{of} is in time zone {time_zone[:40]!r}, which is not known here, so its last whole day is not either; "
            "expected is a name such as Europe/Berlin. Correct it at the source or in the settings"
        ) from None


def _written(days: Mapping[str, date]) -> dict[str, str]:
    return {account: day.isoformat() for account, day in sorted(days.items())}
