"""The Lambda that DynamoDB's streams wake: for the tables that a batch of changes is of, it starts one run of Dagster.

It is set up by dynamodb_stream.yaml beside it, and told by DAGSTER_GRAPHQL_URL (https://…/graphql), DAGSTER_LOCATION
and DAGSTER_ASSETS, which says what to make of which table: {"user_Campaign": ["bronze/dynamodb/user_campaign", …]}.
DAGSTER_TOKEN is sent as a bearer token where it is set. A run that is still queued will read these changes too, so none
is started beside it; the changes themselves are not looked at, since a run reads all that is there.
"""

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TIMEOUT = 20.0
# Dagster's own name for the job of any assets.
JOB, REPOSITORY = "__ASSET_JOB", "__repository__"
TABLES_TAG, EVENT_TAG = "dynamodb/tables", "dynamodb/event"
NOT_STARTED = ["QUEUED", "NOT_STARTED"]

RUNS = """
query ($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 1) {
    __typename
    ... on Runs { results { runId } }
  }
}
"""
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}
"""


class RunNotStarted(Exception):
    """No run was started. The message says what was asked and what came; the event is sent again."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """One batch of a stream's records."""
    makes = json.loads(os.environ["DAGSTER_ASSETS"])
    records = event["Records"]
    tables = sorted({_table_of(record) for record in records} & makes.keys())
    if not tables:
        return {"started": None, "because": "none of the tables is one that is loaded"}
    named = ",".join(tables)
    # An event that is sent a second time is the same event.
    same_event = sha256("".join(sorted(record["eventID"] for record in records)).encode()).hexdigest()[:32]
    for why, told in (
        ("this event has started a run", {"tags": [_tag(EVENT_TAG, same_event)]}),
        (
            "a run waits that will read these changes",
            {"tags": [_tag(TABLES_TAG, named)], "statuses": NOT_STARTED},
        ),
    ):
        if runs := _asked(RUNS, {"filter": told}, "Runs")["results"]:
            return {"started": None, "because": why, "run": runs[0]["runId"]}
    assets = sorted({asset for table in tables for asset in makes[table]})
    tags = [_tag(TABLES_TAG, named), _tag(EVENT_TAG, same_event)]
    run = _asked(LAUNCH, {"params": _run_of(assets, tags)}, "LaunchRunSuccess")["run"]
    return {"started": run["runId"], "tables": tables}


def _table_of(record: Mapping[str, Any]) -> str:
    """arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>"""
    return str(record["eventSourceARN"]).split("/")[1]


def _tag(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


def _run_of(assets: Sequence[str], tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "selector": {
            "repositoryLocationName": os.environ["DAGSTER_LOCATION"],
            "repositoryName": REPOSITORY,
            "jobName": JOB,
            "assetSelection": [{"path": asset.split("/")} for asset in assets],
        },
        "runConfigData": {},
        "executionMetadata": {"tags": tags},
    }


def _asked(question: str, variables: Mapping[str, Any], wanted: str) -> Any:
    """What Dagster answers, if it is what was wanted."""
    url = os.environ["DAGSTER_GRAPHQL_URL"]
    if not url.startswith(("https://", "http://")):
        raise RunNotStarted("DAGSTER_GRAPHQL_URL is no address of a web server; set it to https://…/graphql")
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("DAGSTER_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"query": question, "variables": variables}).encode()
    request = Request(url, body, headers)  # noqa: S310 - checked above
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - checked above
            told = json.load(answer)
    except HTTPError as error:
        raise RunNotStarted(
            f"Dagster answered {error.code}; check DAGSTER_GRAPHQL_URL and DAGSTER_TOKEN"
        ) from None
    except (URLError, OSError, ValueError) as error:
        raise RunNotStarted(
            f"Dagster gave no whole answer ({type(error).__name__}); see whether DAGSTER_GRAPHQL_URL can be reached"
        ) from None
    (found,) = (told.get("data") or {"": {}}).values()
    if (found or {}).get("__typename") != wanted:
        kind = (found or {}).get("__typename", "an error of GraphQL")
        raise RunNotStarted(f"Dagster answered with {kind}; check DAGSTER_LOCATION and DAGSTER_ASSETS")
    return found
