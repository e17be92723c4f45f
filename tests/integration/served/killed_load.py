"""A load in a process of its own, killed as by `kill -9` before or after the statement that it is told.

It is run by its path, with an order in JSON on its input, and prints nothing.
"""

import json
import os
import signal
import sys
from typing import Any

from data_platform.gold.served import SERVED, serve, target_for
from data_platform.gold.serving.postgres import PostgresSession
from data_platform.gold.serving.redshift import RedshiftSession, StagedFiles
from data_platform.gold.serving.snowflake import SnowflakeSession
from data_platform.gold.warehouse import copy_of
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.sources.catalogue import TABLES

SESSIONS: dict[str, type] = {
    "postgres": PostgresSession,
    "redshift": RedshiftSession,
    "snowflake": SnowflakeSession,
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(kind: type, method: str, beginning: str, after: bool) -> None:
    original = getattr(kind, method)

    def deadly(self: Any, *given: Any) -> Any:
        is_it = not beginning or str(given[0]).strip().startswith(beginning)
        if is_it and not after:
            die()
        result = original(self, *given)
        if is_it:
            die()
        return result

    setattr(kind, method, deadly)


def main() -> None:
    order = json.load(sys.stdin)
    session = SESSIONS[order["target"]]
    kinds = {"execute": session, "_copy": session, "put": StagedFiles, "remove": StagedFiles}
    plant(kinds[order["method"]], order["method"], order["statement"], order["after"])
    settings = Settings(_env_file=None, **order["settings"])
    tables = (*SERVED, *(copy_of(table) for table in TABLES))
    table = next(each for each in tables if each.name == order["table"])
    serve(table, target_for(order["target"], settings), lake_of(settings))


if __name__ == "__main__":
    main()
