"""Quality rules: conditions that rows must meet, and what follows where one does not."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

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
