"""A load in the SQL that PostgreSQL and Redshift share: its statements, and their order in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from data_platform.declarations import DataType
from data_platform.gold.serving.changes import Reached
from data_platform.gold.serving.declared import IS_DELETED, Served
from data_platform.gold.serving.target import Counts, Held, PositionMoved, TargetError, Work

POSITIONS = "served_positions"
STAGED = "served_staged"


@dataclass(frozen=True)
class Dialect:
    """Where the databases differ. `types` are by kind, `shown` as information_schema names them."""

    database: str
    types: Mapping[str, str]
    shown: Mapping[str, tuple[str, ...]]
    lock: str
    after_staging: str
    after_table: Callable[[Served], str]

    def type_of(self, declared: DataType, column: str) -> str:
        if declared.kind not in self.types:
            raise TargetError(
                f"{self.database} can't be given {column}, a {declared.kind}; serve the table without it, or have "
                "silver say it otherwise"
            )
        return self.types[declared.kind].format(precision=declared.precision, scale=declared.scale)


class Database(Protocol):
    """An open connection, in which each statement stands alone but between begin and commit."""

    dialect: Dialect

    def execute(self, statement: str) -> int:
        """Run a statement; how many rows it touched."""

    def ask(self, question: str) -> list[tuple[Any, ...]]: ...

    def prepared(self, work: Work) -> AbstractContextManager[Callable[[], None]]:
        """What has to be done with the rows before the transaction; gives what fills the staging table in it."""


def held(database: Database, table: Served) -> Held:
    is_whole = not _missing(table, _columns(database, table))
    found = _is_there(database, POSITIONS) and database.ask(
        f"select batch, version, table_id, committed, row_count from {POSITIONS} where table_name = '{table.name}'"
    )
    if not found:
        return Held(is_whole)
    batch, version, table_id, committed, rows = found[0]
    return Held(is_whole, Reached(int(batch), int(version), str(table_id), int(committed)), int(rows))


def load(database: Database, work: Work) -> Counts:
    """The order: rows are got ready, and then in one transaction staged, put into the table, and the position noted."""
    table = work.table
    with database.prepared(work) as fill_staging:
        _make_positions(database)
        with _transaction(database):
            database.execute(database.dialect.lock.format(table=POSITIONS))
            if held(database, table) != work.held:
                raise PositionMoved(
                    f"{table.name} was loaded or altered by another while this run read silver"
                )
            _make(database, table)
            database.execute(_staging_table(database.dialect, table))
            fill_staging()
            counts = _merge(database, work)
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


def _merge(database: Database, work: Work) -> Counts:
    """What is gone is deleted, what is known is given its new values, and what is new is put in.

    Statements of their own rather than MERGE, which PostgreSQL has only since 15 and Redshift in one fixed form. They
    leave columns that somebody added to the table as they are.
    """
    deleted = database.execute(_delete(work))
    changed = database.execute(_update(work.table)) if work.table.others else 0
    added = database.execute(_insert(work.table))
    rows = database.ask(f'select count(*) from "{work.table.name}"')[0][0]
    return Counts(int(rows), added, changed, deleted)


def _delete(work: Work) -> str:
    name = work.table.name
    if work.takes_all:
        return f'delete from "{name}" where not exists (select 1 from {STAGED} where {_same_row(work.table)})'
    return f'delete from "{name}" using {STAGED} where {_same_row(work.table)} and {STAGED}.{IS_DELETED}'


def _update(table: Served) -> str:
    values = ", ".join(f'"{name}" = {STAGED}."{name}"' for name in table.others)
    return (
        f'update "{table.name}" set {values} from {STAGED} '
        f"where {_same_row(table)} and not {STAGED}.{IS_DELETED}"
    )


def _insert(table: Served) -> str:
    names = [column.name for column in table.columns]
    values = ", ".join(f'{STAGED}."{name}"' for name in names)
    return (
        f'insert into "{table.name}" ({listed(names)}) select {values} from {STAGED} '
        f'left join "{table.name}" on {_same_row(table)} '
        f'where not {STAGED}.{IS_DELETED} and "{table.name}"."{table.key[0]}" is null'
    )


def _note(database: Database, work: Work, counts: Counts) -> None:
    to = work.reaches
    database.execute(f"delete from {POSITIONS} where table_name = '{work.table.name}'")
    database.execute(
        f"insert into {POSITIONS} (table_name, source, batch, version, table_id, committed, row_count, loaded_at) "
        f"values ('{work.table.name}', '{work.table.source}', {to.batch}, {to.version}, '{to.table_id}', "
        f"{to.committed}, {counts.rows}, '{datetime.now(UTC):%Y-%m-%d %H:%M:%S}')"
    )


_POSITIONS_TABLE = f"""
create table if not exists {POSITIONS} (
    table_name varchar(256) not null primary key,
    source varchar(256) not null,
    batch bigint not null,
    version bigint not null,
    table_id varchar(64) not null,
    committed bigint not null,
    row_count bigint not null,
    loaded_at timestamp not null
)"""


def _make_positions(database: Database) -> None:
    """Before the transaction, whose first statement is to lock it; two loads may be the first at once."""
    if not _is_there(database, POSITIONS):
        try:
            database.execute(_POSITIONS_TABLE)
        except TargetError:
            if not _is_there(database, POSITIONS):
                raise


def _make(database: Database, table: Served) -> None:
    """Make the table, or what it lacks of columns."""
    there = _columns(database, table)
    columns = _columns_sql(database.dialect, table)
    if not there:
        after = database.dialect.after_table(table)
        told = ", ".join([*columns.values(), f"primary key ({listed(table.key)})"])
        database.execute(f'create table "{table.name}" ({told}) {after}'.rstrip())
        return
    for name in _missing(table, there):
        if name in table.key:
            raise TargetError(
                f"{database.dialect.database} holds {table.name} without {name}, which is of its key; drop the table "
                "to have it made anew"
            )
        database.execute(f'alter table "{table.name}" add column {columns[name]}')


def _staging_table(dialect: Dialect, table: Served) -> str:
    columns = [*_columns_sql(dialect, table).values(), f"{IS_DELETED} boolean not null"]
    return f"create temp table {STAGED} ({', '.join(columns)}) {dialect.after_staging}".rstrip()


def _columns_sql(dialect: Dialect, table: Served) -> dict[str, str]:
    return {
        column.name: f'"{column.name}" {dialect.type_of(column.type, column.name)}'
        + (" not null" if column.name in table.key else "")
        for column in table.columns
    }


def _is_there(database: Database, name: str) -> bool:
    return bool(
        database.ask(
            "select 1 from information_schema.tables "
            f"where table_schema = current_schema() and table_name = '{name}'"
        )
    )


def _columns(database: Database, table: Served) -> dict[str, str]:
    """The columns of the table as it stands, none where it doesn't; refused where one can't take what is served."""
    _columns_sql(database.dialect, table)
    found = {
        name: (shown, precision, scale)
        for name, shown, precision, scale in database.ask(
            "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns "
            f"where table_schema = current_schema() and table_name = '{table.name}'"
        )
    }
    for column in table.columns:
        if column.name in found and not _fits(database.dialect, column.type, *found[column.name]):
            raise TargetError(
                f"{database.dialect.database} holds {table.name}.{column.name} as {_said(*found[column.name])}, and it "
                f"is served as {column.type}; give the column a type that fits, or drop the table to have it made anew"
            )
    return {name: shown for name, (shown, _, _) in found.items()}


def _fits(dialect: Dialect, declared: DataType, shown: str, precision: int | None, scale: int | None) -> bool:
    if shown not in dialect.shown[declared.kind]:
        return False
    if declared.kind != "decimal" or precision is None or scale is None:
        return True
    return int(scale) >= declared.scale and int(precision) - int(scale) >= declared.precision - declared.scale


def _said(shown: str, precision: int | None, scale: int | None) -> str:
    return f"{shown}({precision},{scale})" if shown == "numeric" and precision is not None else shown


def _missing(table: Served, there: Mapping[str, str]) -> list[str]:
    return [column.name for column in table.columns if column.name not in there]


def _same_row(table: Served) -> str:
    return " and ".join(f'"{table.name}"."{name}" = {STAGED}."{name}"' for name in table.key)


def listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
