"""The Lambda that streams wake, against a Dagster webserver: one run for a batch, none for one that is sent again."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
import requests
import uvicorn
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from data_platform.lambdas import dynamodb_stream
from data_platform.lambdas.dynamodb_stream import RunNotStarted, handler
from data_platform.silver.user_campaign_progress import USER_CAMPAIGN_PROGRESS
from data_platform.sources.dynamodb import TABLES
from sandbox.children import free_port

ASSETS = {
    "user_Campaign": ["bronze/dynamodb/user_campaign"],
    "campaignInfo": ["bronze/dynamodb/campaign_info"],
}
LOCATION = "<<in_process>>"
# Assets of the same names, that load nothing: what is asked is whether their runs start.
DEFINITIONS = """
import dagster as dg

@dg.multi_asset(specs=[dg.AssetSpec(["bronze", "dynamodb", "user_campaign"])], name="user_campaign")
def user_campaign(): ...

@dg.multi_asset(specs=[dg.AssetSpec(["bronze", "dynamodb", "campaign_info"])], name="campaign_info")
def campaign_info(): ...

defs = dg.Definitions(assets=[user_campaign, campaign_info])
"""


@pytest.fixture(scope="module")
def dagster(tmp_path_factory) -> Iterator[tuple[str, dg.DagsterInstance]]:
    """A webserver in this process, and its instance. Without a daemon, what is queued stays so."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "platform_stub.py").write_text(DEFINITIONS)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    port = free_port()
    origin = LoadableTargetOrigin(python_file=str(home / "platform_stub.py"), executable_path=sys.executable)
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(origin))
        workspace = stack.enter_context(WorkspaceProcessContext(instance, target))
        app = create_app_from_workspace_process_context(workspace)
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error"))
        serving = Thread(target=server.run)
        serving.start()
        wait_for(port)
        yield f"http://127.0.0.1:{port}/graphql", instance
        server.should_exit = True
        serving.join()


def wait_for(port: int) -> None:
    session = requests.Session()
    retries = HTTPAdapter(max_retries=Retry(total=300, backoff_factor=0.05, backoff_max=0.2))
    session.mount("http://", retries)
    session.get(f"http://127.0.0.1:{port}/server_info", timeout=30).raise_for_status()


@pytest.fixture
def instance(dagster, monkeypatch) -> dg.DagsterInstance:
    url, instance = dagster
    for run in instance.get_run_records():
        instance.delete_run(run.dagster_run.run_id)
    monkeypatch.setenv("DAGSTER_GRAPHQL_URL", url)
    monkeypatch.setenv("DAGSTER_LOCATION", LOCATION)
    monkeypatch.setenv("DAGSTER_ASSETS", json.dumps(ASSETS))
    return instance


def event(*changes: tuple[str, str]) -> dict:
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/{}/stream/2026-06-01T00:00:00.000"
    return {"Records": [{"eventID": id_, "eventName": "MODIFY", "eventSourceARN": arn.format(table)}
                        for id_, table in changes]}  # fmt: skip


def test_a_batch_of_changes_starts_one_run_of_what_is_made_of_its_tables(instance):
    told = handler(event(("1", "user_Campaign"), ("2", "user_Campaign"), ("3", "campaignInfo")), None)
    (run,) = instance.get_runs()
    assert told == {"started": run.run_id, "tables": ["campaignInfo", "user_Campaign"]}
    assert {key.to_user_string() for key in run.asset_selection} == {
        key for keys in ASSETS.values() for key in keys
    }


def test_a_batch_that_is_sent_again_starts_none(instance):
    first = handler(event(("1", "user_Campaign")), None)
    again = handler(event(("1", "user_Campaign")), None)
    assert (again["started"], again["run"]) == (None, first["started"])
    assert len(instance.get_runs()) == 1


def test_a_run_that_still_waits_reads_later_changes_too(instance):
    first = handler(event(("1", "user_Campaign")), None)
    later = handler(event(("2", "user_Campaign")), None)
    assert (later["because"], later["run"]) == ("a run waits that will read these changes", first["started"])
    instance.report_run_canceled(instance.get_run_by_id(first["started"]))
    assert handler(event(("3", "user_Campaign")), None)["started"]


def test_tables_that_nobody_loads_start_nothing(instance):
    assert handler(event(("1", "somebodyElses")), None)["started"] is None
    assert instance.get_runs() == []


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        (
            "DAGSTER_GRAPHQL_URL",
            "http://127.0.0.1:9/graphql",
            "see whether DAGSTER_GRAPHQL_URL can be reached",
        ),
        ("DAGSTER_GRAPHQL_URL", "file:///etc/passwd", "is no address of a web server"),
        ("DAGSTER_LOCATION", "elsewhere", "check DAGSTER_LOCATION and DAGSTER_ASSETS"),
    ],
)
def test_what_keeps_it_from_starting_a_run_is_told_with_the_setting(
    instance, monkeypatch, setting, value, says
):
    monkeypatch.setenv(setting, value)
    with pytest.raises(RunNotStarted, match=says):
        handler(event(("1", "user_Campaign")), None)


def test_its_stack_gives_it_the_settings_that_it_reads_and_what_the_sensor_would_make():
    source = Path(dynamodb_stream.__file__)
    template = re.sub(r"!(Ref|Sub|GetAtt)\b", "", source.with_suffix(".yaml").read_text())
    resources = yaml.safe_load(template)["Resources"]
    start = resources["Start"]["Properties"]
    reads = set(re.findall(r"os\.environ(?:\.get\(|\[)['\"](\w+)['\"]", source.read_text()))
    given = start["Environment"]["Variables"]
    assert given.keys() == reads
    assert (start["Code"], start["Handler"]) == (source.name, "dynamodb_stream.handler")
    assert json.loads(given["DAGSTER_ASSETS"]) == {
        table.reads: [
            f"bronze/{table.system}/{table.name}", f"silver/{table.silver_name}",
            f"silver/{USER_CAMPAIGN_PROGRESS.name}",
        ]
        for table in TABLES
    }  # fmt: skip
    streams = {name for name, each in resources.items() if each["Type"] == "AWS::Lambda::EventSourceMapping"}
    assert len(streams) == len(TABLES)
