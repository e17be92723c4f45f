"""What a source table is: the words it is declared in, and what they refuse.

Everything downstream (assets, schedules, checks, masking, erasure, docs, dbt sources) is made from these
declarations, so a mistake is refused here, when the declaration is built, and the error says what to do.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum


class DeclarationError(ValueError):
    """A declaration that would do harm later; the message says which, why and what to write instead."""


# --- Types -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataType:
    """A column's type. `of` is a list's element; `fields` are a struct's."""

    kind: str
    precision: int = 0
    scale: int = 0
    of: "DataType | None" = None
    fields: "tuple[Column, ...]" = ()

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.kind == "list":
            return f"array<{self.of}>"
        if self.kind == "struct":
            return f"struct<{','.join(f'{c.name}:{c.type}' for c in self.fields)}>"
        return self.kind


STRING = DataType("string")
BOOLEAN = DataType("boolean")
INTEGER = DataType("bigint")
DOUBLE = DataType("double")
DATE = DataType("date")
TIMESTAMP = DataType("timestamp")
BINARY = DataType("binary")
# A value with an inner shape that we keep as the source wrote it: a string of JSON.
JSON = DataType("json")


def DECIMAL(precision: int, scale: int) -> DataType:  # noqa: N802 - reads as the type it is.
    if not 0 < precision <= 38 or not 0 <= scale <= precision:
        raise DeclarationError(
            f"DECIMAL({precision}, {scale}) can't be stored: precision goes from 1 to 38 and scale from 0 to it"
        )
    return DataType("decimal", precision, scale)


def LIST(of: DataType) -> DataType:  # noqa: N802
    return DataType("list", of=of)


def STRUCT(*fields: "Column") -> DataType:  # noqa: N802
    return DataType("struct", fields=fields)


# --- Personal data ---------------------------------------------------------------------------------------


class Mask(Enum):
    """What a reader without the right to see a personal value sees instead."""

    TOKEN = "token"  # a keyed hash: equal values stay equal, so joins still work  # noqa: S105
    DOMAIN = "domain"  # an email's domain alone
    LAST_FOUR = "last four"
    REDACTED = "redacted"


class Erase(Enum):
    """What erasure does to a personal value."""

    NULL = "null"
    TOKEN = "token"  # noqa: S105 - keys must stay distinct, so they become a token that nothing leads back from


@dataclass(frozen=True)
class Treatment:
    mask: Mask
    erase: Erase


class Personal(Enum):
    """The kinds of personal value, each with how it is masked and erased unless the column says otherwise."""

    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    ADDRESS = "address"
    CUSTOMER = "customer"
    LEAD = "lead"
    CONTACT = "contact"
    ACCOUNT = "account"
    USER = "user"
    CARD = "card"
    DEVICE = "device"
    LOCATION = "location"
    IP = "ip"
    FREE_TEXT = "free text"

    @property
    def treatment(self) -> Treatment:
        return _TREATMENTS[self]


_TREATMENTS = {
    Personal.EMAIL: Treatment(Mask.DOMAIN, Erase.NULL),
    Personal.PHONE: Treatment(Mask.LAST_FOUR, Erase.NULL),
    Personal.NAME: Treatment(Mask.REDACTED, Erase.NULL),
    Personal.ADDRESS: Treatment(Mask.REDACTED, Erase.NULL),
    Personal.CUSTOMER: Treatment(Mask.TOKEN, Erase.TOKEN),
    Personal.LEAD: Treatment(Mask.TOKEN, Erase.TOKEN),
    Personal.CONTACT: Treatment(Mask.TOKEN, Erase.TOKEN),
    Personal.ACCOUNT: Treatment(Mask.TOKEN, Erase.TOKEN),
    Personal.USER: Treatment(Mask.TOKEN, Erase.TOKEN),
    Personal.CARD: Treatment(Mask.LAST_FOUR, Erase.TOKEN),
    Personal.DEVICE: Treatment(Mask.TOKEN, Erase.NULL),
    Personal.LOCATION: Treatment(Mask.REDACTED, Erase.NULL),
    Personal.IP: Treatment(Mask.REDACTED, Erase.NULL),
    Personal.FREE_TEXT: Treatment(Mask.REDACTED, Erase.NULL),
}

# --- Rules -----------------------------------------------------------------------------------------------


# A column in a rule's condition; some vendors have dots in their names.
NAMED_COLUMN = re.compile(r"{([\w.]+)}")


class Dimension(Enum):
    """What side of quality a rule looks at; the score of a table is made per dimension."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"


class Severity(Enum):
    """ERROR keeps the row out of silver (it goes to quarantine); WARN lets it in and marks it."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Rule:
    """A condition that each row must meet, in Spark SQL; `{Name}` stands for a declared column, `{column}` for
    the column that the rule is written on. A null passes: `not_null` alone asks for presence.

    The rule's check fails when more than `tolerance` of the table's rows break it.
    """

    name: str
    condition: str
    says: str
    dimension: Dimension = Dimension.VALIDITY
    severity: Severity = Severity.WARN
    tolerance: float | None = None

    @property
    def allowed(self) -> float:
        """Up to one broken row in twenty is quarantined without holding the table back; a warning tells of any."""
        if self.tolerance is not None:
            return self.tolerance
        return 0.05 if self.severity is Severity.ERROR else 0.0


WARN, ERROR = Severity.WARN, Severity.ERROR


def not_null(severity: Severity = ERROR) -> Rule:
    return Rule("not_null", "{column} is not null", "is there", Dimension.COMPLETENESS, severity)


def at_least(least: float, severity: Severity = ERROR) -> Rule:
    return Rule("at_least", f"{{column}} >= {least}", f"is at least {least}", severity=severity)


def between(least: float, most: float, severity: Severity = ERROR) -> Rule:
    return Rule(
        "between",
        f"{{column}} between {least} and {most}",
        f"lies between {least} and {most}",
        severity=severity,
    )


def one_of(*values: str, severity: Severity = WARN) -> Rule:
    # Spark takes two quotes for the end of one text and the start of the next.
    escaped = (value.replace("\\", "\\\\").replace("'", "\\'") for value in values)
    listed = ", ".join(f"'{value}'" for value in escaped)
    return Rule("one_of", f"{{column}} in ({listed})", f"is one of {', '.join(values)}", severity=severity)


def is_email(severity: Severity = WARN) -> Rule:
    pattern = r"^[^@\\s]+@[^@\\s.]+([.][^@\\s.]+)+$"
    return Rule("is_email", f"{{column}} rlike '{pattern}'", "is an email address", severity=severity)


def not_before(day: date, severity: Severity = ERROR) -> Rule:
    return Rule(
        "not_before",
        f"{{column}} >= date'{day.isoformat()}'",
        f"is not before {day.isoformat()}",
        severity=severity,
    )


def not_ahead(by: timedelta, severity: Severity = WARN) -> Rule:
    """Not further in the future than `by`, seen from when the row landed."""
    seconds = int(by.total_seconds())
    condition = f"{{column}} <= _landed_at + make_dt_interval(0, 0, 0, {seconds})"
    return Rule("not_ahead", condition, f"is at most {by} ahead", Dimension.TIMELINESS, severity)


def holds(name: str, condition: str, says: str, severity: Severity = WARN) -> Rule:
    """A rule over several columns of one row."""
    return Rule(name, condition, says, Dimension.CONSISTENCY, severity)


KNOWN_RULES = ("not_null", "at_least", "between", "one_of", "is_email", "not_before", "not_ahead", "holds")

# --- Columns ---------------------------------------------------------------------------------------------


class Normalise(Enum):
    """How silver writes a text so that equal things are equal. Every text is trimmed."""

    TRIM = "trim"
    LOWER = "lower"
    UPPER = "upper"
    PHONE = "phone"  # separators go, digits and a leading + stay


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SILVER_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def snake_case(name: str) -> str:
    return re.sub(r"__(c|pc|r)$", "", _CAMEL.sub("_", name)).replace("-", "_").lower().strip("_")


@dataclass(frozen=True)
class Column:
    """A column in the vendor's name and type. `silver` is its name from silver on (by default the snake case of
    the vendor's; an empty string leaves the column in bronze)."""

    name: str
    type: DataType
    required: bool = False
    personal: Personal | None = None
    sensitive: bool = False
    rule: Rule | tuple[Rule, ...] = ()
    silver: str | None = None
    normalise: Normalise | None = None
    mask: Mask | None = None
    erase: Erase | None = None
    description: str = ""

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise DeclarationError(
                    f"column {self.name}: unknown rule {rule!r}; write one of {', '.join(KNOWN_RULES)} (…), or Rule(…)"
                )
        if self.silver_name and not _SILVER_NAME.match(self.silver_name):
            fitting = re.sub(r"\W+", "_", snake_case(self.silver_name))
            raise DeclarationError(
                f"column {self.name}: its silver name {self.silver_name!r} is not snake_case; write silver={fitting!r}"
            )
        self._check_treatment()

    def _check_treatment(self) -> None:
        if self.personal is None:
            if self.mask or self.erase:
                raise DeclarationError(
                    f"column {self.name} says how to mask or erase it, but not what kind of personal value it is; "
                    "add personal=Personal.…"
                )
            if inner := _personal_within(self.type):
                raise DeclarationError(
                    f"column {self.name} holds the personal {inner}, which is masked and erased with the whole column; "
                    "add personal=Personal.…"
                )
            return
        if not isinstance(self.personal, Personal):
            raise DeclarationError(
                f"column {self.name}: no way is known to mask and erase {self.personal!r}; "
                f"use one of {', '.join(f'Personal.{kind.name}' for kind in Personal)}"
            )
        if self.type.kind not in ("string", "json") and self.treatment.mask is not Mask.REDACTED:
            raise DeclarationError(
                f"column {self.name} is personal, but a {self.type} can't be masked by {self.treatment.mask.value}; "
                "add mask=Mask.REDACTED, or land it as STRING"
            )
        if self.required and self.treatment.erase is Erase.NULL:
            raise DeclarationError(
                f"column {self.name} is personal and required, so erasing it by null would break the row; "
                "add erase=Erase.TOKEN, or drop required=True"
            )

    @property
    def rules(self) -> tuple[Rule, ...]:
        given = self.rule if isinstance(self.rule, tuple) else (self.rule,)
        if self.required and not any(getattr(rule, "name", None) == "not_null" for rule in given):
            return (not_null(), *given)
        return given

    @property
    def treatment(self) -> Treatment:
        if self.personal is None:
            raise DeclarationError(f"column {self.name} is not personal; nothing masks or erases it")
        usual = self.personal.treatment
        return Treatment(self.mask or usual.mask, self.erase or usual.erase)

    @property
    def silver_name(self) -> str | None:
        """None where the column stays in bronze."""
        if self.silver is None:
            return snake_case(self.name)
        return self.silver or None

    @property
    def classification(self) -> str:
        if self.personal:
            return f"personal:{self.personal.value}"
        return "sensitive" if self.sensitive else "internal"


def _personal_within(shape: DataType) -> str | None:
    """The name of a personal value inside a list or a struct."""
    if shape.of:
        return _personal_within(shape.of)
    for part in shape.fields:
        if inner := part.name if part.personal else _personal_within(part.type):
            return inner
    return None


# --- Loads: how far a table has been read, and what marks that place ---------------------------------------


@dataclass(frozen=True)
class Incremental:
    """Rows whose cursor moved, the key breaking ties. The last `overlap` is read again, since rows show late.

    `reread_every`: columns that change without moving the cursor (a formula) are compared this often.
    """

    cursor: str
    overlap: timedelta
    reread_every: timedelta | None = None

    def __post_init__(self) -> None:
        if self.overlap <= timedelta(0):
            raise DeclarationError(
                f"Incremental(cursor={self.cursor!r}) needs an overlap above zero: rows that were being written "
                "while the last load read are seen by no later one; ten minutes is usual"
            )


@dataclass(frozen=True)
class Stream:
    """Changes in the source's own order (offsets, sequence numbers, LSN); the position is one place per part."""

    order: str


@dataclass(frozen=True)
class Window:
    """A day at a time, and the last `restated` days again, since the source still changes them."""

    day: str
    restated: timedelta


@dataclass(frozen=True)
class Snapshot:
    """Whole objects (files): each once, and again when its content changed."""

    prefix: str


Load = Incremental | Stream | Window | Snapshot


class Every(Enum):
    """How often a table is loaded; its freshness promise is this and two hours."""

    HOURLY = "hourly"
    DAILY = "daily"
    ON_CHANGE = "on change"

    @property
    def interval(self) -> timedelta:
        return timedelta(days=1) if self is Every.DAILY else timedelta(hours=1)

    @property
    def promise(self) -> timedelta:
        return self.interval + timedelta(hours=2)


HOURLY, DAILY, ON_CHANGE = Every.HOURLY, Every.DAILY, Every.ON_CHANGE


def years(number: int) -> timedelta:
    return timedelta(days=365 * number)


def days(number: int) -> timedelta:
    return timedelta(days=number)


# --- Tables ----------------------------------------------------------------------------------------------

RESERVED = frozenset(
    {
        "_batch",
        "_landed_at",
        "_op",
        "_origin",
        "_rescued",
        "_warnings",
        "_reasons",
        "_source_batch",
        "is_deleted",
    }
)
# What bronze and the step to silver add to the source's columns.
RESERVED_IN_BRONZE = frozenset({"_batch", "_landed_at", "_op", "_origin", "_rescued", "_place"})


@dataclass(frozen=True)
class SourceTable:
    """A table that we land: which object of which system, what it holds, and what we promise about it."""

    system: str
    name: str
    reads: str
    key: tuple[str, ...]
    load: Load
    every: Every
    owner: str
    keep_for: timedelta
    columns: tuple[Column, ...]
    description: str
    rules: tuple[Rule, ...] = ()
    restricted: bool = False
    # Fields that the source offers and we leave there, on purpose; others that are not declared land in _rescued.
    ignores: tuple[str, ...] = ()
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})
        self._check_names()
        self._check_positions()
        self._check_rules()

    def _refuse(self, what: str) -> None:
        raise DeclarationError(f"table {self.system}.{self.name}: {what}")

    def _check_names(self) -> None:
        for name in (self.system, self.name):
            if not _SILVER_NAME.match(name):
                self._refuse(
                    f"{name!r} is not snake_case, and it becomes a folder and an asset key; rename it"
                )
        if not self.columns:
            self._refuse("it has no columns; list what is landed")
        for kind, names in (
            ("column", [column.name for column in self.columns]),
            ("silver name", [column.silver_name for column in self.columns if column.silver_name]),
        ):
            if twice := _repeated(names):
                self._refuse(f"{kind} {', '.join(twice)} is declared twice; keep one, or rename one")
            reserved = RESERVED if kind == "silver name" else RESERVED_IN_BRONZE
            if taken := sorted(reserved.intersection(names)):
                self._refuse(
                    f"{kind} {', '.join(taken)} belongs to the platform, which writes it itself; rename it"
                )
        if not re.match(r"^(team|user):\S+$|^\S+@\S+$", self.owner):
            self._refuse(
                f"owner {self.owner!r} is neither team:<name> nor an email; Dagster takes only those"
            )
        both = sorted(set(self.ignores) & set(self.by_name))
        if both:
            self._refuse(f"{', '.join(both)} is both declared and ignored; take it out of one")

    def _check_positions(self) -> None:
        if not self.key:
            self._refuse("it has no key; silver can't tell one row from another without one")
        self._must_be_columns("key", self.key)
        for name in self.key:
            if not self.by_name[name].silver_name:
                self._refuse(f"key {name} must go to silver; drop silver=''")
            if not self.by_name[name].required:
                self._refuse(
                    f"key {name} is not required, and rows without it are never merged; add required=True"
                )
        if isinstance(self.load, Incremental):
            self._must_be_columns("cursor", (self.load.cursor,))
            cursor = self.by_name[self.load.cursor]
            if cursor.type not in (TIMESTAMP, INTEGER, DATE):
                self._refuse(
                    f"cursor {cursor.name} is a {cursor.type}, which has no order to follow; use a timestamp"
                )
            if not cursor.silver_name:
                self._refuse(
                    f"cursor {cursor.name} must go to silver, which keeps the newest by it; drop silver=''"
                )
        elif isinstance(self.load, Window):
            self._must_be_columns("day", (self.load.day,))

    def _must_be_columns(self, role: str, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.by_name:
                self._refuse(f"its {role} {name!r} is not a column; declared are {', '.join(self.by_name)}")

    def _check_rules(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, Rule):
                self._refuse(f"unknown rule {rule!r}; write holds(…) for a rule over several columns")
            named = NAMED_COLUMN.findall(rule.condition)
            self._must_be_columns(f"rule {rule.name}'s", named)
            for name in named:
                if not self.by_name[name].silver_name:
                    self._refuse(
                        f"rule {rule.name} names {name}, which stays in bronze, where none is judged"
                    )
        if twice := _repeated([name for name, _, _ in self.every_rule]):
            self._refuse(f"rule {', '.join(twice)} is declared twice on one column; keep one")
        for column in self.columns:
            if column.rules and not column.silver_name:
                self._refuse(f"column {column.name} has a rule but stays in bronze, where none is judged")

    @property
    def every_rule(self) -> list[tuple[str, Rule, Column | None]]:
        """Each rule under the name of its check: `<silver column>_<rule>`, or the rule's own for the whole row."""
        on_columns: list[tuple[str, Rule, Column | None]] = [
            (f"{column.silver_name}_{rule.name}", rule, column)
            for column in self.columns
            for rule in column.rules
        ]
        return on_columns + [(rule.name, rule, None) for rule in self.rules]

    @property
    def asset_path(self) -> tuple[str, str, str]:
        return ("bronze", self.system, self.name)

    @property
    def silver_name(self) -> str:
        return f"{self.system}_{self.name}"

    @property
    def silver_key(self) -> tuple[str, ...]:
        return tuple(name for key in self.key if (name := self.by_name[key].silver_name))

    @property
    def personal_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.personal)


def _repeated(names: Sequence[str]) -> list[str]:
    """Spark tells no names apart by their case."""
    folded = [name.casefold() for name in names]
    return sorted({name for name in names if folded.count(name.casefold()) > 1})


def catalogue(*modules: Iterable[SourceTable]) -> tuple[SourceTable, ...]:
    """All tables, each once."""
    tables = tuple(table for module in modules for table in module)
    seen: dict[tuple[str, str], SourceTable] = {}
    for table in tables:
        if (table.system, table.name) in seen:
            raise DeclarationError(
                f"table {table.system}.{table.name} is declared twice; both would write the same folder: rename one"
            )
        seen[table.system, table.name] = table
    return tables
