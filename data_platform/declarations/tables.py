"""Tables: a source table whole, which refuses what its parts can't know to be wrong."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from data_platform.declarations.columns import SILVER_NAME, Column
from data_platform.declarations.loads import Every, Incremental, Load, Snapshot, Stream, Window
from data_platform.declarations.rules import NAMED_COLUMN, Rule
from data_platform.declarations.types import DATE, INTEGER, TIMESTAMP, DeclarationError

RESERVED = frozenset(
    {
        "_batch",
        "_headers",
        "_landed_at",
        "_message_key",
        "_sent_at",
        "_op",
        "_order",
        "_origin",
        "_rescued",
        "_warnings",
        "_reasons",
        "_source_batch",
        "is_deleted",
    }
)
# What bronze and the step to silver add to the source's columns.
RESERVED_IN_BRONZE = frozenset(
    {
        "_batch",
        "_headers",
        "_landed_at",
        "_landed_on",
        "_message_key",
        "_op",
        "_order",
        "_origin",
        "_place",
        "_rescued",
        "_sent_at",
    }
)


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
    # The files that another tool lands of the same rows; a setting says which way is taken.
    files: Snapshot | None = None
    # The column by which its rows lie in silver, where the key says nothing of what is asked for together.
    lies_by: str | None = None
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
            if not SILVER_NAME.match(name):
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
        elif isinstance(self.load, Stream):
            self._check_stream(self.load)
        self._check_files()
        self._check_concealed()
        self._check_order()

    def _check_order(self) -> None:
        if self.lies_by is None:
            return
        self._must_be_columns("order in silver", (self.lies_by,))
        if self.by_name[self.lies_by].personal:
            self._refuse(
                f"it lies by {self.lies_by}, which is personal, and each file of silver tells the log its first value; "
                "choose another column, or leave lies_by out"
            )

    def _check_stream(self, load: Stream) -> None:
        if load.lag and self.every is not Every.ON_CHANGE:
            self._refuse(
                f"its sensor asks for loads by lag, and it is loaded {self.every.value} as well; write every=ON_CHANGE"
            )
        if load.messages and load.messages.key:
            self._must_be_columns("messages' key", (load.messages.key,))
            if self.key != (load.messages.key,):
                self._refuse(
                    f"a message without a value would delete by {load.messages.key}, and rows are told apart by "
                    f"{', '.join(self.key)}; leave Messages(key=…) out, or make it the table's key"
                )

    def _check_concealed(self) -> None:
        for column in self.columns:
            if column.lands and column.lands.field in self.by_name:
                self._refuse(
                    f"{column.lands.field} must not land, says column {column.name}, and is a column itself; "
                    "drop that column, or give the one that is made of it another name"
                )

    def _check_files(self) -> None:
        for files in (self.files, self.load):
            if isinstance(files, Snapshot):
                self._must_be_columns("renamed", (column for _, column in files.renames))
                self._must_be_columns("mark of deletion", (files.deleted,) if files.deleted else ())
                if files.entries:
                    self._must_be_columns("entry", (files.entries.name, files.entries.value))

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
    def cursors(self) -> tuple[str, ...]:
        """The bronze columns that order the versions of a row; none where the newest to land is the newest."""
        match self.load:
            case Incremental(cursor=cursor):
                return (cursor,)
            case Stream():
                return ("_order",)
            case _:
                return ()

    @property
    def read_by(self) -> tuple[str, ...]:
        """The bronze columns that say where in the source a row was read: its day, or what orders its versions."""
        return (self.load.day,) if isinstance(self.load, Window) else self.cursors

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
    def silver_order(self) -> tuple[str, ...]:
        """By what rows lie together in silver's files."""
        lies_by = self.by_name[self.lies_by].silver_name if self.lies_by else None
        return (lies_by,) if lies_by else self.silver_key

    @property
    def plain_key(self) -> tuple[str, ...]:
        """Those columns of silver's key that say nothing of a person."""
        personal = {column.silver_name for column in self.personal_columns}
        return tuple(name for name in self.silver_key if name not in personal)

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
