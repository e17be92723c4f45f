"""The publication and the replication slot of a table: made, looked after, and found lost.

Each table has a slot of its own, so that a load moves it on with no regard to another table's, and a kill leaves
one table's position and slot to agree on. Both have the table's name, so whoever loads it finds them.
"""

import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from data_platform.connectors.base import SourceError
from data_platform.connectors.postgres.described import Described, qualified
from data_platform.connectors.postgres.session import Database, literal, quoted, rows_of
from data_platform.declarations import SourceTable

# Of any name in PostgreSQL.
LONGEST_NAME = 63
# How long a server may take to see that a client has gone.
LET_GO_WITHIN = 5.0
PUBLISHED = (
    "select 1 from pg_publication_rel r join pg_publication p on p.oid = r.prpubid "
    "where p.pubname = %s and r.prrelid = to_regclass(%s)"
)
STATE = (
    "select wal_status, confirmed_flush_lsn - '0/0', plugin, "
    "pg_current_wal_flush_lsn() - '0/0' from pg_replication_slots where slot_name = %s"
)


@dataclass(frozen=True)
class Exported:
    """A slot that was just made: it holds what is committed from `lsn` on, and `snapshot` shows what was before."""

    lsn: int
    snapshot: str


@dataclass(frozen=True)
class Slot:
    """One table's place in the server's WAL."""

    database: Database
    session: Any
    table: SourceTable

    @property
    def name(self) -> str:
        """A server's slots share one space of names, whichever database and platform they are of."""
        named = f"{self.database.slot_prefix}_{self.database.database}_{self.table.reads}".lower()
        name = re.sub(r"\W", "_", named, flags=re.ASCII)
        if len(name) > LONGEST_NAME:
            name = f"{name[: LONGEST_NAME - 9]}_{zlib.crc32(named.encode()):08x}"
        return name

    @contextmanager
    def held(self) -> Iterator[None]:
        """One load at a time: of two, one would take the slot from under the other. A killed one lets go by itself, and
        one that has ended does so when the server sees that its session was closed."""
        deadline = time.monotonic() + LET_GO_WITHIN
        while not self._is_ours():
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{self.table.system}.{self.table.name} is being loaded by another run, which holds its slot "
                    f"{self.name}; let that run end, then run again"
                )
            time.sleep(0.05)
        # A killed load's last question may still be at work on the slot, for nobody.
        rows_of(
            self.session,
            "select pg_terminate_backend(active_pid, 10000) from pg_replication_slots "
            "where slot_name = %s and active_pid is not null",
            [self.name],
        )
        yield

    def _is_ours(self) -> bool:
        asked = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        ((is_ours,),) = rows_of(self.session, asked, [self.name])
        return bool(is_ours)

    def missed(self, position: int) -> str | None:
        """Why the changes since the position can't be had from the slot any more; None where they can."""
        found = rows_of(self.session, STATE, [self.name])
        if not found:
            return f"the replication slot {self.name} is gone"
        ((status, confirmed, plugin, written),) = found
        if status == "lost" or confirmed is None:
            return f"the server has given up the replication slot {self.name}: too much WAL had to be kept for it"
        if plugin != "pgoutput":
            return f"the replication slot {self.name} is another program's ({plugin})"
        if confirmed > position:
            return f"the replication slot {self.name} stands beyond the table's position"
        if written < position:
            return "the server's WAL ends before the table's position (an older state of it was restored)"
        if not self._is_published():
            return f"the publication {self.name} does not hold {self.table.reads} any more"
        return None

    def advance(self, position: int) -> None:
        """Let the server forget what the table's commits hold."""
        rows_of(
            self.session,
            "select pg_replication_slot_advance(slot_name, '0/0'::pg_lsn + %s) from pg_replication_slots "
            "where slot_name = %s and confirmed_flush_lsn < '0/0'::pg_lsn + %s",
            [position, self.name, position],
        )

    @contextmanager
    def made(self, described: Described) -> Iterator[Exported]:
        """A new slot in the place of any other; its snapshot can be read as long as this is open."""
        self._must_tell_keys(described)
        self._publish()
        rows_of(
            self.session,
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
            [self.name],
        )
        with self.database.replication() as cursor:
            cursor.execute(f"CREATE_REPLICATION_SLOT {quoted(self.name)} LOGICAL pgoutput EXPORT_SNAPSHOT")
            _, lsn, snapshot, _ = cursor.fetchone()
            yield Exported(number_of(lsn), snapshot)

    def changes(self, end: int) -> str:
        """The question for what was committed in the slot up to `end`; asking it moves nothing."""
        return (
            f"select data from pg_logical_slot_peek_binary_changes({literal(self.name)}, '0/0'::pg_lsn + {end}, null, "
            f"'proto_version', '1', 'publication_names', {literal(quoted(self.name))})"
        )

    def _must_tell_keys(self, described: Described) -> None:
        if missing := set(self.table.key) - described.identity:
            raise SourceError(
                f"{self.table.reads} does not write {', '.join(sorted(missing))} into the WAL when a row is changed or "
                "deleted, so its changes can't be followed. Give it a primary key of the declared key columns, or "
                f"run: alter table {qualified(self.table)} replica identity full"
            )

    def _is_published(self) -> bool:
        return bool(rows_of(self.session, PUBLISHED, [self.name, qualified(self.table)]))

    def _publish(self) -> None:
        """A publication whose table was dropped stays behind empty, so it is made anew."""
        if self._is_published():
            return
        create = f"create publication {quoted(self.name)} for table {qualified(self.table)}"
        try:
            rows_of(self.session, f"drop publication if exists {quoted(self.name)}")
            rows_of(self.session, create)
        except psycopg2.errors.InsufficientPrivilege:
            raise SourceError(
                f"this user may not publish {self.table.reads}. Let its owner run: {create}; or declare the table "
                "with load=Incremental(…), which needs no rights but SELECT"
            ) from None


def number_of(lsn: str) -> int:
    """An LSN as the number that it is."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
