"""Personal values: their kinds, and how each is masked and erased."""

from dataclasses import dataclass
from enum import Enum

from data_platform.declarations.types import DeclarationError


class Mask(Enum):
    """What a reader without the right to see a personal value sees instead."""

    TOKEN = "token"  # a keyed hash: equal values stay equal, so joins still work  # noqa: S105
    DOMAIN = "domain"  # an email's domain alone
    LAST_FOUR = "last four"
    REDACTED = "redacted"


# What can be made of a value by itself, before anything is written.
_CONCEALING = (Mask.TOKEN, Mask.LAST_FOUR)


@dataclass(frozen=True)
class Concealed:
    """What may land of a field that must never be stored itself: its token, or its last four. The connector makes
    it before the first write, and keeps the field out of everything else that it hands over."""

    field: str
    by: Mask

    def __post_init__(self) -> None:
        if self.by not in _CONCEALING:
            allowed = ", ".join(f"Mask.{mask.name}" for mask in _CONCEALING)
            raise DeclarationError(
                f"Concealed({self.field!r}, {self.by}) says nothing that can land of the field; use {allowed}"
            )


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
