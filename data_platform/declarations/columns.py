"""Columns: a name and a type of the vendor's, and what silver, privacy and quality make of it."""

import re
from dataclasses import dataclass
from enum import Enum

from data_platform.declarations.personal import Concealed, Erase, Mask, Personal, Treatment
from data_platform.declarations.rules import KNOWN_RULES, Rule, not_null
from data_platform.declarations.types import DataType, DeclarationError


class Normalise(Enum):
    """How silver writes a text so that equal things are equal. Every text is trimmed."""

    TRIM = "trim"
    LOWER = "lower"
    UPPER = "upper"
    PHONE = "phone"  # separators go, digits and a leading + stay


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SILVER_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def snake_case(name: str) -> str:
    return re.sub(r"__(c|pc|r)$", "", _CAMEL.sub("_", name)).replace("-", "_").lower().strip("_")


@dataclass(frozen=True)
class Column:
    """A column in the vendor's name and type. `silver` is its name from silver on (by default the snake case of
    the vendor's; an empty string leaves the column in bronze). `lands` is what is made of a field that must not
    land itself."""

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
    lands: Concealed | None = None
    description: str = ""

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise DeclarationError(
                    f"column {self.name}: unknown rule {rule!r}; write one of {', '.join(KNOWN_RULES)} (…), or Rule(…)"
                )
        if self.silver_name and not SILVER_NAME.match(self.silver_name):
            fitting = re.sub(r"\W+", "_", snake_case(self.silver_name))
            raise DeclarationError(
                f"column {self.name}: its silver name {self.silver_name!r} is not snake_case; write silver={fitting!r}"
            )
        self._check_treatment()

    def _check_treatment(self) -> None:
        if self.lands and (self.personal is None or self.type.kind != "string"):
            raise DeclarationError(
                f"column {self.name} lands what is left of {self.lands.field}, which is a text about a person; "
                "declare it STRING with personal=Personal.…"
            )
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
