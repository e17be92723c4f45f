"""SOQL as text turned into a query: the grammar, and nothing of what objects and fields there are."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NoReturn

from sandbox.salesforce.errors import ApiError, pointed_at

Value = str | bool | None | datetime | date | Decimal

TOKEN = re.compile(
    r"""\s*(?:
        (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
      | (?P<date>\d{4}-\d\d-\d\d)
      | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<word>[A-Za-z_][\w.]*)
      | (?P<sign>!=|<>|<=|>=|[=<>(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Name:
    """A name as it was written, and where."""

    text: str
    place: int


@dataclass(frozen=True)
class Comparison:
    field: Name
    operator: str
    value: Value


@dataclass(frozen=True)
class Membership:
    field: Name
    values: tuple[Value, ...]
    is_in: bool


@dataclass(frozen=True)
class Junction:
    """Conditions that all (AND) or at least one (OR) must hold."""

    operator: str
    parts: "tuple[Condition, ...]"


@dataclass(frozen=True)
class Negation:
    part: "Condition"


Condition = Comparison | Membership | Junction | Negation


@dataclass(frozen=True)
class Order:
    field: Name
    descending: bool
    nulls_last: bool


@dataclass(frozen=True)
class Query:
    """What was asked; no fields means COUNT()."""

    text: str
    fields: tuple[Name, ...]
    sobject: Name
    where: Condition | None
    order: tuple[Order, ...]
    limit: int | None


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    place: int


def parse(text: str) -> Query:
    return _Parser(text).query()


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if not found or found.lastgroup is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise ApiError("MALFORMED_QUERY", pointed_at(text, place, f"unexpected token: '{text[place]}'"))
        tokens.append(Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
        at = found.end()
    return [*tokens, Token("end", "<EOF>", end)]


def _unescaped(quoted: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[1].startswith("u"):
            return chr(int(found[1][1:], 16))
        # A pattern of LIKE keeps its escaped wildcards.
        return ESCAPES.get(found[1], found[0])

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", character, quoted[1:-1], flags=re.DOTALL)


class _Parser:
    """Recursive descent, one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def unexpected(self) -> NoReturn:
        token = self.token
        raise ApiError(
            "MALFORMED_QUERY", pointed_at(self.text, token.place, f"unexpected token: '{token.text}'")
        )

    def sees(self, *words: str) -> bool:
        return self.token.kind in ("word", "sign") and self.token.text.upper() in words

    def accept(self, *words: str) -> bool:
        """Takes these words if they come next."""
        for ahead, word in enumerate(words):
            token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
            if token.kind not in ("word", "sign") or token.text.upper() != word:
                return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            self.unexpected()

    def name(self) -> Name:
        if self.token.kind != "word":
            self.unexpected()
        token = self.take()
        return Name(token.text, token.place)

    def query(self) -> Query:
        self.expect("SELECT")
        fields = () if self.accept("COUNT", "(", ")") else self.names()
        self.expect("FROM")
        sobject = self.name()
        where = self.condition() if self.accept("WHERE") else None
        order = self.orders() if self.accept("ORDER", "BY") else ()
        limit = self.limit() if self.accept("LIMIT") else None
        if self.token.kind != "end":
            self.unexpected()
        return Query(self.text, fields, sobject, where, order, limit)

    def names(self) -> tuple[Name, ...]:
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        return tuple(names)

    def condition(self) -> Condition:
        """AND and OR don't mix without parentheses: neither binds closer than the other."""
        parts = [self.term()]
        if not self.sees("AND", "OR"):
            return parts[0]
        operator = self.token.text.upper()
        while self.accept(operator):
            parts.append(self.term())
        if self.sees("AND", "OR"):
            self.unexpected()
        return Junction(operator, tuple(parts))

    def term(self) -> Condition:
        if self.accept("NOT"):
            return Negation(self.term())
        if self.accept("("):
            inner = self.condition()
            self.expect(")")
            return inner
        return self.comparison()

    def comparison(self) -> Condition:
        field = self.name()
        if self.accept("IN"):
            return Membership(field, self.values(), is_in=True)
        if self.accept("NOT", "IN"):
            return Membership(field, self.values(), is_in=False)
        if not self.sees(*COMPARISONS, "LIKE"):
            self.unexpected()
        operator = self.take().text.upper()
        return Comparison(field, "!=" if operator == "<>" else operator, self.value())

    def values(self) -> tuple[Value, ...]:
        self.expect("(")
        values = [self.value()]
        while self.accept(","):
            values.append(self.value())
        self.expect(")")
        return tuple(values)

    def value(self) -> Value:
        words: dict[str, Value] = {"NULL": None, "TRUE": True, "FALSE": False}
        token = self.token
        if token.kind == "word" and token.text.upper() not in words:
            self.unexpected()
        if token.kind in ("sign", "end"):
            self.unexpected()
        self.take()
        match token.kind:
            case "word":
                return words[token.text.upper()]
            case "text":
                return _unescaped(token.text)
            case "number":
                return Decimal(token.text)
            case _:
                return self.moment(token)

    def moment(self, token: Token) -> Value:
        try:
            if token.kind == "date":
                return date.fromisoformat(token.text)
            return datetime.fromisoformat(token.text).astimezone(UTC)
        except ValueError:
            self.at -= 1
            self.unexpected()

    def orders(self) -> tuple[Order, ...]:
        orders = [self.order()]
        while self.accept(","):
            orders.append(self.order())
        return tuple(orders)

    def order(self) -> Order:
        """Nulls come first unless it is said otherwise, whichever the direction."""
        field = self.name()
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        nulls_last = self.accept("NULLS", "LAST")
        if not nulls_last:
            self.accept("NULLS", "FIRST")
        return Order(field, descending, nulls_last)

    def limit(self) -> int:
        if self.token.kind != "number" or not self.token.text.isdigit():
            self.unexpected()
        return int(self.take().text)
