"""A load in the SQL that the targets share: its statements, and their order around one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from data_platform.gold.serving.changes import Reached
from data_platform.gold.serving.columns import ColumnTypes, Shown
from data_platform.gold.serving.declared import IS_DELETED, Served
from data_platform.gold.serving.target import Counts, Held, PositionMoved, TargetError, Work

POSITIONS = "served_positions"
STAGED = "served_staged"
# The batch of a position that says: nothing was loaded yet, or not into this table.
NOTHING = -1


@dataclass(frozen=True)
class Dialect:
    """Where the databases differ.

    `lock` keeps other loads of the table out until the transaction ends. Where `making_commits`, a statement that makes
    or alters a table ends the transaction that it stands in. Where `merges`, known and new rows are taken on by MERGE.
    """

    columns: ColumnTypes
    lock: str
    after_staging: str = ""
    after_table: Callable[[Served], str] = field(default=lambda table: "")  # noqa: ARG005 - nothing to lay out
    upper_case: bool = False
    making_commits: bool = False
    merges: bool = False
    keeps_keys_unique: bool = True

    @property
    def database(self) -> str:
        return self.columns.database

    def name(self, name: str) -> str:
        """A name as the database keeps what is not quoted, so that users need no quotes."""
        return f'"{name.upper() if self.upper_case else name}"'

    def listed(self, names: Sequence[str]) -> str:
        return ", ".join(map(self.name, names))

    def place(self, table: Served, name: str = "") -> str:
        """The table, or another beside it."""
        there = self.name(name or table.name)
        return f"{self.name(table.schema)}.{there}" if table.schema else there

    def text(self, name: str) -> str:
        """A name as a text, as information_schema says it."""
        return f"'{name.upper() if self.upper_case else name}'"

    def current(self, table: Served) -> str:
        return self.text(table.schema) if table.schema else "current_schema()"


class Database(Protocol):
    """An open connection, in which each statement stands alone but between begin and commit."""

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, statement: str) -> int:
        """Run a statement; how many rows it touched."""

    def ask(self, question: str) -> list[tuple[Any, ...]]: ...

    def prepared(self, work: Work) -> AbstractContextManager[Callable[[], None]]:
        """What has to be done with the rows before the transaction; gives what fills the staging table in it."""


def held(database: Database, table: Served) -> Held:
    is_whole = not _missing(table, _columns(database, table))
    found = _is_there(database, table, POSITIONS) and database.ask(
        f"select batch, version, table_id, committed, row_count from {database.dialect.place(table, POSITIONS)} "
        f"where table_name = '{table.name}' and batch > {NOTHING}"
    )
    if not found:
        return Held(is_whole)
    batch, version, table_id, committed, rows = found[0]
    return Held(is_whole, Reached(int(batch), int(version), str(table_id), int(committed)), int(rows))


def load(database: Database, work: Work) -> Counts:
    """The order: rows are got ready, and then in one transaction staged, put into the table, and the position noted."""
    table, dialect = work.table, database.dialect
    with database.prepared(work) as fill_staging:
        _make_positions(database, table)
        expected = _made_ready(database, work) if dialect.making_commits else work.held
        with _transaction(database):
            database.execute(
                dialect.lock.format(positions=dialect.place(table, POSITIONS), table=f"'{table.name}'")
            )
            if held(database, table) != expected:
                raise _moved(table)
            if not dialect.making_commits:
                _make(database, table)
                database.execute(_staging_table(dialect, table))
            fill_staging()
            counts = _take_on(database, work)
            _note(database, work, counts)
    return counts


@contextmanager
def _transaction(database: Database) -> Iterator[None]:
    database.execute("begin")
    try:
        yield
        database.execute("commit")
    except BaseException:
        # What is wrong has been said; a connection that is gone has rolled back by itself.
        with suppress(TargetError):
            database.execute("rollback")
        raise


def _moved(table: Served) -> PositionMoved:
    return PositionMoved(f"{table.place} was loaded or altered by another while this run read silver")


def _made_ready(database: Database, work: Work) -> Held:
    """The tables, made before the transaction. A position goes first: it says nothing of a table that is made anew."""
    table = work.table
    if held(database, table) != work.held:
        raise _moved(table)
    if not work.held.is_whole:
        positions = database.dialect.place(table, POSITIONS)
        database.execute(f"update {positions} set batch = {NOTHING} where table_name = '{table.name}'")
        _make(database, table)
    database.execute(_staging_table(database.dialect, table))
    return work.held if work.held.is_whole else Held(True)


def _take_on(database: Database, work: Work) -> Counts:
    """What is gone is deleted, what is known is given its new values, and what is new is put in.

    Columns that somebody added to the table stay as they are.
    """
    dialect, table = database.dialect, work.table
    before = _count(database, dialect.place(table))
    staged = _count(database, STAGED)
    gone = 0 if table.keeps_deleted else _count(database, f"{STAGED} where {dialect.name(IS_DELETED)}")
    deleted = database.execute(statement) if (statement := _delete(dialect, work)) else 0
    if dialect.merges:
        added, changed = _merged(database, table)
    else:
        changed = database.execute(_update(dialect, table)) if table.others else 0
        added = database.execute(_insert(dialect, table))
    rows = _count(database, dialect.place(table))
    return Counts(rows, before, staged, gone, added, changed, deleted)


def _count(database: Database, what: str) -> int:
    return int(database.ask(f"select count(*) from {what}")[0][0])


def _delete(dialect: Dialect, work: Work) -> str:
    """Nothing where deleted rows stay, and all that changed was staged."""
    table, same = work.table, _same_row(dialect, work.table)
    if work.takes_all:
        return f"delete from {dialect.place(table)} where not exists (select 1 from {STAGED} where {same})"
    if table.keeps_deleted:
        return ""
    return (
        f"delete from {dialect.place(table)} using {STAGED} where {same} and {_staged(dialect, IS_DELETED)}"
    )


def _live(dialect: Dialect, table: Served) -> str:
    return "" if table.keeps_deleted else f" and not {_staged(dialect, IS_DELETED)}"


def _values(dialect: Dialect, table: Served) -> dict[str, str]:
    """Each column of the table, and its value in the staging table as the table holds it."""
    return {
        column.name: dialect.columns.taken_on(column.type, _staged(dialect, column.name))
        for column in table.columns
    }


def _given(dialect: Dialect, table: Served) -> str:
    values = _values(dialect, table)
    return ", ".join(f"{dialect.name(name)} = {values[name]}" for name in table.others)


def _update(dialect: Dialect, table: Served) -> str:
    return (
        f"update {dialect.place(table)} set {_given(dialect, table)} from {STAGED} "
        f"where {_same_row(dialect, table)}{_live(dialect, table)}"
    )


def _insert(dialect: Dialect, table: Served) -> str:
    values = _values(dialect, table)
    key = f"{dialect.name(table.name)}.{dialect.name(table.key[0])}"
    return (
        f"insert into {dialect.place(table)} ({dialect.listed(list(values))}) select {', '.join(values.values())} "
        f"from {STAGED} left join {dialect.place(table)} on {_same_row(dialect, table)} "
        f"where {key} is null{_live(dialect, table)}"
    )


def _merged(database: Database, table: Served) -> tuple[int, int]:
    """How many rows were new, and how many known."""
    dialect, values = database.dialect, _values(database.dialect, table)
    known = f"when matched then update set {_given(dialect, table)} " if table.others else ""
    new = f"insert ({dialect.listed(list(values))}) values ({', '.join(values.values())})"
    source = (
        STAGED
        if table.keeps_deleted
        else f"(select * from {STAGED} where not {dialect.name(IS_DELETED)}) as {STAGED}"
    )
    [counts] = database.ask(
        f"merge into {dialect.place(table)} using {source} on {_same_row(dialect, table)} "
        f"{known}when not matched then {new}"
    )
    return int(counts[0]), int(counts[1]) if table.others else 0


def _note(database: Database, work: Work, counts: Counts) -> None:
    to, positions = work.reaches, database.dialect.place(work.table, POSITIONS)
    database.execute(f"delete from {positions} where table_name = '{work.table.name}'")
    database.execute(
        f"insert into {positions} (table_name, source, batch, version, table_id, committed, row_count, loaded_at) "
        f"values ('{work.table.name}', '{work.table.source}', {to.batch}, {to.version}, '{to.table_id}', "
        f"{to.committed}, {counts.rows}, '{datetime.now(UTC):%Y-%m-%d %H:%M:%S}')"
    )


_POSITIONS_TABLE = """
create table if not exists {positions} (
    table_name varchar(256) not null{unique},
    source varchar(256) not null,
    batch bigint not null,
    version bigint not null,
    table_id varchar(64) not null,
    committed bigint not null,
    row_count bigint not null,
    loaded_at timestamp not null
)"""


def _make_positions(database: Database, table: Served) -> None:
    """Before the transaction, whose first statement is to lock it; two loads may be the first at once."""
    dialect, positions = database.dialect, database.dialect.place(table, POSITIONS)
    if not _is_there(database, table, POSITIONS):
        unique = " primary key" if dialect.keeps_keys_unique else ""
        try:
            if table.schema:
                database.execute(f"create schema if not exists {dialect.name(table.schema)}")
            database.execute(_POSITIONS_TABLE.format(positions=positions, unique=unique))
        except TargetError:
            if not _is_there(database, table, POSITIONS):
                raise
    if dialect.making_commits and not database.ask(
        f"select 1 from {positions} where table_name = '{table.name}'"
    ):
        # What is locked is the table's row; MERGE alone puts in one where two loads look at once.
        database.execute(
            f"merge into {positions} using (select '{table.name}' as loaded) as asked "
            f"on {positions}.table_name = asked.loaded when not matched then insert "
            "(table_name, source, batch, version, table_id, committed, row_count, loaded_at) "
            f"values (asked.loaded, '{table.source}', {NOTHING}, 0, '', 0, 0, '1970-01-01 00:00:00')"
        )


def _make(database: Database, table: Served) -> None:
    """Make the table, or what it lacks of columns."""
    dialect, there = database.dialect, _columns(database, table)
    columns = _columns_sql(dialect, table, dialect.columns.type_of)
    if not there:
        after = dialect.after_table(table)
        key = [f"primary key ({dialect.listed(table.key)})"] if dialect.keeps_keys_unique else []
        told = ", ".join([*columns.values(), *key])
        database.execute(f"create table {dialect.place(table)} ({told}) {after}".rstrip())
        return
    for name in _missing(table, there):
        if name in table.key:
            raise TargetError(
                f"{dialect.database} holds {table.place} without {name}, which is of its key; drop the table "
                "to have it made anew"
            )
        database.execute(f"alter table {dialect.place(table)} add column {columns[name]}")


def _staging_table(dialect: Dialect, table: Served) -> str:
    columns = [*_columns_sql(dialect, table, dialect.columns.staged_type_of).values()]
    if not table.keeps_deleted:
        columns.append(f"{dialect.name(IS_DELETED)} boolean not null")
    return f"create temp table {STAGED} ({', '.join(columns)}) {dialect.after_staging}".rstrip()


def _columns_sql(dialect: Dialect, table: Served, type_of: Callable[..., str]) -> dict[str, str]:
    return {
        column.name: f"{dialect.name(column.name)} {type_of(column.type, column.name)}"
        + (" not null" if column.name in table.key else "")
        for column in table.columns
    }


def _is_there(database: Database, table: Served, name: str) -> bool:
    return bool(
        database.ask(
            "select 1 from information_schema.tables "
            f"where table_schema = {database.dialect.current(table)} "
            f"and table_name = {database.dialect.text(name)}"
        )
    )


def _columns(database: Database, table: Served) -> Mapping[str, Shown]:
    """The columns of the table as it stands, none where it doesn't; refused where one can't take what is served."""
    types = database.dialect.columns
    _columns_sql(database.dialect, table, types.type_of)
    found = {
        str(name).lower(): Shown(shown, precision, scale)
        for name, shown, precision, scale in database.ask(
            "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns "
            f"where table_schema = {database.dialect.current(table)} "
            f"and table_name = {database.dialect.text(table.name)}"
        )
    }
    for column in table.columns:
        if column.name in found and not types.fits(column.type, found[column.name]):
            raise TargetError(
                f"{types.database} holds {table.place}.{column.name} as {found[column.name]}, and it "
                f"is served as {column.type}; give the column a type that fits, or drop the table to have it made anew"
            )
    return found


def _missing(table: Served, there: Mapping[str, Shown]) -> list[str]:
    return [column.name for column in table.columns if column.name not in there]


def _staged(dialect: Dialect, name: str) -> str:
    return f"{STAGED}.{dialect.name(name)}"


def _same_row(dialect: Dialect, table: Served) -> str:
    return " and ".join(
        f"{dialect.name(table.name)}.{dialect.name(name)} = {_staged(dialect, name)}" for name in table.key
    )
