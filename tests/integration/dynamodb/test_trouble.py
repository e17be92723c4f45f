"""What keeps a table from being read is told with its name and the next step, and leaves the position where it was."""

from dataclasses import replace

import pytest

from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.sources.dynamodb import CAMPAIGN_INFO, USER_CAMPAIGN
from sandbox.vendor import Instead

TABLE = "campaignInfo"


def stream(loading, **specification: object) -> None:
    loading.server.client().update_table(TableName=TABLE, StreamSpecification=specification)


def test_a_table_without_a_stream_is_told_how_to_get_one(loading):
    stream(loading, StreamEnabled=False)
    with pytest.raises(SourceError, match=r"campaignInfo has no stream.*NEW_AND_OLD_IMAGES"):
        loading.load(CAMPAIGN_INFO)
    assert not loading.lake.bronze(CAMPAIGN_INFO).rows


def test_a_stream_of_keys_alone_is_refused_and_one_of_new_images_is_enough(loading):
    loading.tables.drop(TABLE)
    loading.tables.create(TABLE, view="KEYS_ONLY")
    with pytest.raises(SourceError, match=r"shows KEYS_ONLY, which leaves out how an item is after a change"):
        loading.load(CAMPAIGN_INFO)
    loading.tables.drop(TABLE)
    loading.tables.create(TABLE, view="NEW_IMAGE")
    loading.tables.put_all(TABLE, loading.tables.campaigns.rows[TABLE].values())
    loading.load(CAMPAIGN_INFO)
    loading.tables.live_a_day()
    loading.load(CAMPAIGN_INFO)
    loading.agrees(CAMPAIGN_INFO)


def test_a_key_that_is_declared_otherwise_is_told_with_both(loading):
    (first, *others) = CAMPAIGN_INFO.columns
    table = replace(CAMPAIGN_INFO, key=("campaignID",), columns=(first, *others))
    with pytest.raises(SourceError, match=r"has the key campaignID, taskID .* is declared with campaignID;"):
        loading.load(table)


def test_a_table_that_is_not_there_is_told_with_the_settings(loading):
    with pytest.raises(SourceError, match=r"no table nowhere.*AWS_REGION.*AWS_ENDPOINT_URL_DYNAMODB"):
        loading.load(replace(CAMPAIGN_INFO, reads="nowhere"))


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("AccessDeniedException", CredentialsRefused, "DescribeTable, Scan, DescribeStream"),
        ("UnrecognizedClientException", CredentialsRefused, "AWS_ACCESS_KEY_ID"),
        ("ThrottlingException", QuotaReached, "throttled the read of user_Campaign 2 times"),
        ("InternalServerError", SourceError, "could not give the table user_Campaign"),
    ],
)
def test_what_the_service_refuses_is_told_and_the_position_stands(loading, streams, code, kind, says):
    before = loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    streams.fail_next("GetRecords", code, times=2)
    with pytest.raises(kind, match=says):
        loading.load(USER_CAMPAIGN, http_retries=1)
    assert loading.lake.bronze(USER_CAMPAIGN).position == before.position
    streams.forgive()
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_what_passes_is_asked_for_again(loading, streams):
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    for call in ("DescribeStream", "GetShardIterator", "GetRecords"):
        streams.fail_next(call, "ThrottlingException")
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_an_answer_that_was_cut_off_is_asked_for_again_and_told_at_last(loading, streams):
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    streams.http.tell(Instead("POST /", way="truncate", times=4, after=1))
    with pytest.raises(
        SourceError, match=r"answers about user_Campaign held no .*, 2 times: they were cut off"
    ):
        loading.load(USER_CAMPAIGN, http_retries=1)
    loading.load(USER_CAMPAIGN)
    loading.agrees(USER_CAMPAIGN)


def test_a_server_that_is_away_is_told_with_its_setting(loading):
    with pytest.raises(SourceError, match=r"AWS could not be asked .* AWS_ENDPOINT_URL"):
        loading.source = Away(loading.server)
        loading.load(CAMPAIGN_INFO, http_retries=0)


class Away:
    """Nobody listens there."""

    def __init__(self, server) -> None:
        self.server = server

    def settings(self) -> dict[str, str]:
        gone = {name: "http://127.0.0.1:9" for name in self.server.settings() if "ENDPOINT" in name}
        return self.server.settings() | gone


def test_no_error_holds_what_an_item_does(loading, streams, caplog):
    key = sorted(loading.tables.campaigns.rows["user_Campaign"])[0]
    loading.load(USER_CAMPAIGN)
    loading.tables.live_a_day()
    streams.fail_next("GetRecords", "InternalServerError", times=1)
    with pytest.raises(SourceError) as told:
        loading.load(USER_CAMPAIGN, http_retries=0)
    assert key[0] not in f"{told.value}{caplog.text}"
