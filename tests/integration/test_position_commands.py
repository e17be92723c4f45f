"""Positions shown and set by hand: a source's table has two layers, one that is made of others has silver's alone."""

import json

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake
from typer.testing import CliRunner

from data_platform.cli import commands
from data_platform.lake.tables import Lake, Note

READ = {"silver/kafka_user_events": 3, "silver/rest_api_exchange_rates": 1}


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_URI", str(tmp_path))
    note = CommitProperties(custom_metadata={"userMetadata": Note(READ).to_json()})
    write_deltalake(
        f"{tmp_path}/silver/user_sessions", pa.table({"visitor_id": ["one"]}), commit_properties=note
    )

    def run(*arguments):
        return CliRunner().invoke(commands, ["position", *arguments])

    return run


def test_a_table_across_others_shows_what_it_has_read_of_each(command):
    shown = command("show", "user_sessions")
    assert shown.exit_code == 0
    assert shown.stdout.strip() == f"silver/user_sessions: {json.dumps(READ)}"


def test_it_can_be_told_to_look_at_all_of_them_again(command, tmp_path):
    assert command("set", "user_sessions", "null").exit_code == 0
    assert Lake(str(tmp_path)).silver("user_sessions").position is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("set", "user_sessions", "null", "--layer", "bronze"), "user_sessions has no layer 'bronze'"),
        (("set", "user_sessions", '{"silver/kafka_user_events": 1}'), "silver/rest_api_exchange_rates"),
        (("show", "user_visits"), "user_visits"),
        (("set", "kafka.user_events", "null", "--layer", "gold"), "write bronze or silver"),
    ],
)
def test_what_is_not_there_is_named(command, arguments, expected):
    ended = command(*arguments)
    assert isinstance(ended.exception, LookupError)
    assert expected in str(ended.exception)
