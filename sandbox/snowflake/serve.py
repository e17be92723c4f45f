"""The process of the stand-in: fakesnow, with what it lacks of logins, null moments and errors.

It runs in an environment of its own (`requirements.in` beside this), since fakesnow needs a DuckDB that the platform
can't have, and is told on its standard input where to listen, where to keep its database, and whom to let in.
"""

import base64
import gzip
import json
import os
import re
import sys
import time
from threading import Thread
from typing import Any

import duckdb
import fakesnow.arrow as arrow  # type: ignore[import-not-found,unused-ignore]
import fakesnow.copy_into as copy_into  # type: ignore[import-not-found,unused-ignore]
import fakesnow.info_schema as info_schema  # type: ignore[import-not-found,unused-ignore]
import fakesnow.server as server  # type: ignore[import-not-found,unused-ignore]
import fakesnow.transforms as transforms  # type: ignore[import-not-found,unused-ignore]
import jwt  # type: ignore[import-not-found,unused-ignore]
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector.errors as errors
import sqlglot.expressions as exp  # type: ignore[import-not-found,unused-ignore]
import uvicorn  # type: ignore[import-not-found,unused-ignore]
from fakesnow.cursor import FakeSnowflakeCursor  # type: ignore[import-not-found,unused-ignore]
from fakesnow.instance import FakeSnow  # type: ignore[import-not-found,unused-ignore]
from starlette.applications import Starlette  # type: ignore[import-not-found,unused-ignore]
from starlette.requests import Request  # type: ignore[import-not-found,unused-ignore]
from starlette.responses import JSONResponse  # type: ignore[import-not-found,unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found,unused-ignore]

INCORRECT_LOGIN = "390100"

TOLD: dict[str, Any] = json.load(sys.stdin)
# What each session said of itself when it logged in, for tests to look at.
LOGINS: list[dict[str, Any]] = []

_moments = arrow.timestamp_to_sf_struct
_execute = FakeSnowflakeCursor.execute
_describe_table = copy_into._describe_table
_create_table_as = transforms.create_table_as
_insert_comment = info_schema.insert_table_comment_sql

# A session's own table has no schema in DuckDB; one that is named with it is made for all, as dbt drops it itself.
OWN_TABLE_IN_A_SCHEMA = re.compile(
    r"\b(create\s+(?:or\s+replace\s+)?)temp(?:orary)?\s+(table\s+[\w\"]+\.[\w\".]+)", re.IGNORECASE
)

# What fakesnow has nothing for: it is agreed to, and nothing comes of it.
AGREED_TO = [
    r"\s*(?:grant|revoke|show\s+grants)\b",
    r"\s*alter\s+session\b",
    r"\s*comment\s+(?:if\s+exists\s+)?on\b",
    r"\s*alter\s+(?:table|view)\s+\S+\s+alter\s[\s\S]*\bcomment\b",
]

# What Snowflake says to a transaction that waited too long for what another changes: here, at once.
LOCKED = 625
# What fakesnow's table of its own notes calls its columns.
OWN_NOTES = "ext_table_name"


def moments_or_null(moments: Any) -> Any:
    """fakesnow makes 1970 of a moment that is null."""
    if isinstance(moments, pa.ChunkedArray):
        moments = moments.combine_chunks()
    if not moments.null_count:
        return _moments(moments)
    known = _moments(pc.fill_null(moments, pa.scalar(0, pa.int64()).cast(moments.type)))
    return pa.StructArray.from_arrays(known.flatten(), fields=list(known.type), mask=pc.is_null(moments))


def execute_or_say(self: Any, command: str, *arguments: Any, **options: Any) -> Any:
    """What fakesnow can't do is an error of SQL: its 500 would have the connector ask again for ever."""
    try:
        return _execute(self, OWN_TABLE_IN_A_SCHEMA.sub(r"\1\2", command), *arguments, **options)
    except (errors.ProgrammingError, errors.OperationalError):
        raise
    except duckdb.TransactionException as error:
        raise errors.ProgrammingError(msg=str(error), errno=LOCKED, sqlstate="57014") from error
    except duckdb.ConstraintException as error:
        # Two sessions that make tables of one name at once meet in its notes on columns, which all share.
        number, state = (LOCKED, "57014") if OWN_NOTES in str(error) else (1003, "42000")
        raise errors.ProgrammingError(msg=str(error), errno=number, sqlstate=state) from error
    except Exception as error:
        raise errors.ProgrammingError(msg=str(error), errno=1003, sqlstate="42000") from error


def describe_own_tables_too(table: Any, duck_conn: Any, database: Any, schema: Any) -> Any:
    """fakesnow looks for a session's temporary table, into which COPY INTO is to go, in the database."""
    own = "select 1 from duckdb_tables() where temporary and table_name = ?"
    if duck_conn.execute(own, [table.name]).fetchone():
        told = duck_conn.execute(f'describe temp."{table.name}"').fetchall()
        return [(row[0], row[1]) for row in told]
    return _describe_table(table, duck_conn, database, schema)


def comment_but_of_merges(catalog: str, schema: str, table: str, comment: Any) -> str:
    """fakesnow notes comments, quotes and all, in another database, to which a transaction that merges can't write."""
    if table.upper() == "MERGE_CANDIDATES":
        return "select 1"
    return str(_insert_comment(catalog, schema, table, comment and comment.replace("'", "''")))


def create_table_as_in_duckdbs_words(expression: Any, duck_conn: Any) -> Any:
    """fakesnow asks DuckDB which columns a `select *` has, and asks in no dialect's words."""
    query = expression.expression if isinstance(expression, exp.Create) else None
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(query, exp.Select) and any(isinstance(each, exp.Star) for each in query.expressions):
        described = duck_conn.execute(f"describe {query.sql(dialect='duckdb')}").fetchall()
        query.set("expressions", [exp.column(exp.to_identifier(row[0])) for row in described])
    return _create_table_as(expression, duck_conn)


async def login(request: Request) -> JSONResponse:
    body = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    said = json.loads(body)["data"]
    if not is_known(said):
        return JSONResponse(
            {
                "data": None,
                "code": INCORRECT_LOGIN,
                "message": "Incorrect username or password was specified.",
                "success": False,
            }
        )
    LOGINS.append(dict(request.query_params) | said["SESSION_PARAMETERS"])
    answer: JSONResponse = await server.login_request(request)
    return answer


def is_known(said: dict[str, Any]) -> bool:
    match said.get("AUTHENTICATOR", "SNOWFLAKE"):
        case "OAUTH":
            return bool(said.get("TOKEN") == TOLD["token"])
        case "SNOWFLAKE_JWT":
            return is_signed(said["TOKEN"])
        case _:
            return bool((said["LOGIN_NAME"], said.get("PASSWORD")) == (TOLD["username"], TOLD["password"]))


def is_signed(token: str) -> bool:
    try:
        claims = jwt.decode(token, TOLD["public_key"], algorithms=["RS256"])
    except jwt.InvalidTokenError:
        return False
    return f".{TOLD['username']}".upper() in claims["sub"]


async def give_token(request: Request) -> JSONResponse:
    """The OAuth server: a token for a client that knows its secret."""
    expected = base64.b64encode(f"{TOLD['client_id']}:{TOLD['client_secret']}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {expected}":
        return JSONResponse({"error": "invalid_client"}, status_code=401)
    return JSONResponse({"access_token": TOLD["token"], "token_type": "Bearer", "expires_in": 600})


async def logins(_: Request) -> JSONResponse:
    return JSONResponse(LOGINS)


async def load(request: Request) -> JSONResponse:
    """A file's rows into a table; fakesnow takes minutes for as many by INSERT."""
    asked = await request.json()
    server.shared_fs.duck_conn.execute(
        f"insert into {asked['table']} by name from read_parquet('{asked['file']}')"
    )
    return JSONResponse({})


async def end_sessions(_: Request) -> JSONResponse:
    """As Snowflake ends those of clients that are gone, with their transactions; it takes minutes."""
    for session in list(server.sessions.values()):
        session.close()
    server.sessions.clear()
    return JSONResponse({})


def end_with_parent() -> None:
    """Nobody else would end it where the sandbox was killed."""
    while os.getppid() == TOLD["parent"]:
        time.sleep(0.2)
    os._exit(1)


def main() -> None:
    Thread(target=end_with_parent, daemon=True).start()
    arrow.timestamp_to_sf_struct = moments_or_null
    FakeSnowflakeCursor.execute = execute_or_say
    copy_into._describe_table = describe_own_tables_too
    info_schema.insert_table_comment_sql = comment_but_of_merges
    transforms.create_table_as = create_table_as_in_duckdbs_words
    server.shared_fs = FakeSnow(db_path=TOLD["folder"], nop_regexes=AGREED_TO)
    ours = [
        Route("/session/v1/login-request", login, methods=["POST"]),
        Route("/oauth/token-request", give_token, methods=["POST"]),
        Route("/_sandbox/logins", logins),
        Route("/_sandbox/load", load, methods=["POST"]),
        Route("/_sandbox/end-sessions", end_sessions, methods=["POST"]),
    ]
    theirs = [route for route in server.routes if route.path != "/session/v1/login-request"]
    uvicorn.run(Starlette(routes=[*ours, *theirs]), host="127.0.0.1", port=TOLD["port"], log_level="warning")


if __name__ == "__main__":
    main()
