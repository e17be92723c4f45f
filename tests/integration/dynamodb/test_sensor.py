"""A change in a stream asks for one run, from bronze to silver; a quiet table for none; a failed run for another."""

import dagster as dg
import pytest

from data_platform.automation import asked
from data_platform.automation.dynamodb import dynamodb_sensor
from data_platform.automation.jobs import interval_schedules
from data_platform.connectors.base import SourceError
from data_platform.settings import Settings
from data_platform.silver.user_campaign_progress import USER_CAMPAIGN_PROGRESS
from data_platform.sources.dynamodb import TABLES, USER_CAMPAIGN

MADE_OF = {USER_CAMPAIGN_PROGRESS.name: USER_CAMPAIGN_PROGRESS.inputs}
BOTH = {
    "bronze/dynamodb/user_campaign",
    "silver/dynamodb_user_campaign",
    "bronze/dynamodb/campaign_info",
    "silver/dynamodb_campaign_info",
    "silver/user_campaign_progress",
}


@dg.op
def load() -> None: ...


@dg.job
def loads() -> None:
    load()


class Ticks:
    """The sensor's evaluations; the daemon keeps its cursor, and starts the runs that are asked for."""

    def __init__(self, loading, instance: dg.DagsterInstance) -> None:
        self.loading = loading
        self.instance = instance
        self.cursor: str | None = None

    def tick(self, *, dies: bool = False) -> dg.SensorResult:
        settings = self.loading.settings(lake_uri=self.loading.lake.uri)
        sensor = dynamodb_sensor(TABLES, MADE_OF, settings)
        result = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        if not dies:
            self.cursor = result.cursor
        return result

    def asked(self, **how: bool) -> list[set[str]]:
        runs = self.tick(**how).run_requests or []
        return [{key.to_user_string() for key in run.asset_selection} for run in runs]

    def start(self, key: str, status: dg.DagsterRunStatus) -> None:
        self.instance.create_run_for_job(loads, tags={"dagster/run_key": key}, status=status)


@pytest.fixture
def ticks(loading):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(loading, instance)


@pytest.fixture
def loaded(ticks):
    for table in TABLES:
        ticks.loading.load(table)
    return ticks


def test_tables_that_were_never_read_are_one_run_down_to_what_is_made_of_both(ticks):
    assert ticks.asked() == [BOTH]


def test_a_change_asks_for_a_run_of_its_table_and_none_follows_once_it_has_landed(loaded):
    assert loaded.asked() == []
    loaded.loading.tables.put("user_Campaign", {"userID": "u", "campaignID": "c", "progressDetails": []})
    assert loaded.asked() == [BOTH - {"bronze/dynamodb/campaign_info", "silver/dynamodb_campaign_info"}]
    loaded.loading.load(USER_CAMPAIGN)
    quiet = loaded.tick()
    assert "nothing has changed" in quiet.skip_reason.skip_message
    assert quiet.run_requests in (None, [])


def test_a_change_is_not_asked_for_again_while_its_run_is_on_its_way(loaded):
    loaded.loading.tables.live_a_day()
    (run,) = loaded.tick().run_requests
    loaded.start(run.run_key, dg.DagsterRunStatus.STARTED)
    assert "its run is on its way" in loaded.tick().skip_reason.skip_message


def test_a_tick_that_dies_asks_by_the_same_key_again(loaded):
    loaded.loading.tables.live_a_day()
    (lost,) = loaded.tick(dies=True).run_requests
    (run,) = loaded.tick().run_requests
    assert run.run_key == lost.run_key


def test_a_run_that_failed_is_followed_by_another_after_a_pause(loaded, monkeypatch):
    loaded.loading.tables.live_a_day()
    (failed,) = loaded.tick().run_requests
    loaded.start(failed.run_key, dg.DagsterRunStatus.FAILURE)
    assert "another follows" in loaded.tick().skip_reason.skip_message
    monkeypatch.setattr(asked, "FIRST_PAUSE", 0.0)
    (again,) = loaded.tick().run_requests
    assert again.run_key != failed.run_key


@pytest.mark.parametrize("happens", ["split", "trim"])
def test_shards_that_close_or_are_trimmed_are_a_reason_to_load(streams, loaded, happens):
    for table in TABLES:
        loaded.loading.load(table)
    assert loaded.asked() == []
    getattr(streams, happens)("user_Campaign")
    assert len(loaded.asked()) == 1


def test_an_outage_is_a_failed_tick_that_names_the_setting(loaded):
    gone = Settings(_env_file=None, aws_endpoint_url_dynamodb="http://127.0.0.1:9", http_retries=0,
                    aws_access_key_id="x", aws_secret_access_key="x")  # fmt: skip
    with pytest.raises(SourceError, match=r"AWS_ENDPOINT_URL"):
        dynamodb_sensor(TABLES, MADE_OF, gone)(dg.build_sensor_context())


def test_without_an_address_or_a_region_nothing_is_asked():
    skipped = dynamodb_sensor(TABLES, MADE_OF, Settings(_env_file=None))(dg.build_sensor_context())
    assert "AWS_REGION" in skipped.skip_message


def test_what_is_loaded_on_change_is_swept_every_hour():
    schedules = {schedule.name: schedule for schedule in interval_schedules(TABLES)}
    assert schedules["on_change_loads"].cron_schedule == "35 * * * *"
