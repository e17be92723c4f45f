"""What goes wrong on the way out: altered tables, refused logins, outages. Nothing is half loaded, no secret said."""

import traceback
from decimal import Decimal

import dagster as dg
import pytest

from data_platform.connectors.base import SourceError
from data_platform.gold.served import FACEBOOK_ADS, served_assets
from data_platform.gold.serving import statements
from data_platform.gold.serving.redshift import RedshiftSession
from data_platform.gold.serving.target import TargetError, TargetUnreachable
from data_platform.lake.errors import LakeError
from tests.integration.served.conftest import BUCKET, ad

SECRET = "a-secret-word"


@pytest.fixture
def loaded(loading, ads):
    ads.change(*(ad("facebook", number) for number in range(10)))
    loading.load(FACEBOOK_ADS)
    return loading


def said(refused):
    """All that a log would show of it."""
    return "".join(traceback.format_exception(refused.value))


def test_a_table_that_was_dropped_is_made_anew_with_all_rows(loaded, ads):
    loaded.execute("drop table facebook_ads")
    ads.change(ad("facebook", 1, clicks=5))

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_column_that_was_dropped_comes_back_filled(loaded, ads):
    loaded.execute("alter table facebook_ads drop column spend")

    assert loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_column_that_somebody_added_keeps_its_values(loaded, ads):
    loaded.execute("alter table facebook_ads add column note varchar(20)")
    loaded.execute("update facebook_ads set note = 'ours' where ad_id in ('ad-1', 'ad-2')")
    ads.change(ad("facebook", 1, clicks=5), ad("facebook", 50))

    assert not loaded.load(FACEBOOK_ADS).took_all

    loaded.agrees(FACEBOOK_ADS, ads)
    noted = loaded.execute(
        "select ad_id, clicks, note from facebook_ads where note is not null order by ad_id"
    )
    assert noted == [("ad-1", 5, "ours"), ("ad-2", 2, "ours")]


@pytest.mark.parametrize(
    ("altered", "names"),
    [
        ("alter column clicks type integer", "facebook_ads.clicks as integer"),
        ("alter column spend type numeric(9,2)", r"facebook_ads.spend as numeric\(9,2\)"),
        ("alter column date type timestamp", "facebook_ads.date as timestamp without time zone"),
        ("drop column ad_id cascade", "without ad_id, which is of its key"),
    ],
)
def test_a_column_that_can_not_take_what_is_served_is_named_and_nothing_is_loaded(
    loaded, ads, altered, names
):
    loaded.execute(f"alter table facebook_ads {altered}")
    before = loaded.execute("select count(*), sum(impressions) from facebook_ads")
    ads.change(ad("facebook", 1, clicks=5, impressions=77))

    with pytest.raises(TargetError, match=names):
        loaded.load(FACEBOOK_ADS)

    assert loaded.execute("select count(*), sum(impressions) from facebook_ads") == before
    loaded.execute("drop table facebook_ads")
    loaded.load(FACEBOOK_ADS)
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_wider_column_is_taken(loaded, ads):
    loaded.execute("alter table facebook_ads alter column spend type numeric(30,4)")
    ads.change(ad("facebook", 1, spend=Decimal("12.34")))

    assert not loaded.load(FACEBOOK_ADS).took_all
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_row_that_the_table_refuses_takes_the_whole_load_back(loaded, ads):
    before = loaded.rows(FACEBOOK_ADS)
    loaded.execute("alter table facebook_ads add constraint few check (clicks < 1000)")
    ads.change(ad("facebook", 1, clicks=5), ad("facebook", 2, clicks=123_456), ad("facebook", 60))
    ads.delete(("facebook", "ad-3", ad("facebook", 3)["day"]))

    with pytest.raises(TargetError, match="few") as refused:
        loaded.load(FACEBOOK_ADS)

    assert "123456" not in said(refused)
    assert loaded.rows(FACEBOOK_ADS) == before
    loaded.execute("alter table facebook_ads drop constraint few")
    loaded.load(FACEBOOK_ADS)
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_wrong_password_is_told_without_it(loading, ads):
    ads.change(ad("facebook", 1))
    if loading.name == "postgres":
        right = loading.given["served_postgres_dsn"]
        user, _, place = right.partition("@")
        wrong = {"served_postgres_dsn": f"{user.rpartition(':')[0]}:{SECRET}@{place}"}
    else:
        wrong = {"redshift_password": SECRET}

    with pytest.raises(TargetError, match="refuses the user or password") as refused:
        loading.load(FACEBOOK_ADS, **wrong)

    assert SECRET not in said(refused)
    assert not isinstance(refused.value, TargetUnreachable)


def test_a_target_that_does_not_answer_may_be_tried_again(loading, ads, unused_port):
    ads.change(ad("facebook", 1))
    given = (
        {"served_postgres_dsn": f"postgresql://somebody:{SECRET}@127.0.0.1:{unused_port}/shop"}
        if loading.name == "postgres"
        else {"redshift_port": unused_port, "redshift_password": SECRET}
    )

    with pytest.raises(TargetUnreachable, match="could not be reached") as refused:
        loading.load(FACEBOOK_ADS, **given)

    assert SECRET not in said(refused)


def test_a_connection_that_is_cut_leaves_the_table_as_it_was(loaded, ads, monkeypatch):
    before = loaded.rows(FACEBOOK_ADS)
    ads.change(ad("facebook", 1, clicks=5))
    cut = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'data_platform_served'"

    merge = statements._take_on

    def merging(database, work):
        counts = merge(database, work)
        loaded.execute(cut)
        return counts

    monkeypatch.setattr(statements, "_take_on", merging)
    with pytest.raises(TargetUnreachable):
        loaded.load(FACEBOOK_ADS)

    monkeypatch.undo()
    assert loaded.rows(FACEBOOK_ADS) == before
    loaded.load(FACEBOOK_ADS)
    loaded.agrees(FACEBOOK_ADS, ads)


def test_a_lock_that_somebody_holds_is_waited_for_and_not_for_ever(to_postgres, ads, served_postgres):
    ads.change(ad("facebook", 1))
    to_postgres.load(FACEBOOK_ADS)
    ads.change(ad("facebook", 1, clicks=5))
    holder = served_postgres.connect()
    with holder, holder.cursor() as cursor:
        cursor.execute("select * from facebook_ads for update")

        with pytest.raises(TargetUnreachable, match="lock timeout"):
            to_postgres.load(FACEBOOK_ADS, database_network_timeout=1)
    holder.close()

    to_postgres.load(FACEBOOK_ADS)
    to_postgres.agrees(FACEBOOK_ADS, ads)


def test_a_silver_table_that_was_never_made_is_named(loading):
    with pytest.raises(
        LakeError, match="ad_performance does not exist yet; materialize silver/ad_performance first"
    ):
        loading.load(FACEBOOK_ADS)


@pytest.mark.parametrize(
    "dsn", ["not a dsn", f"postgresql://me:{SECRET}@[::1:5432/shop"], ids=["words", "half an address"]
)
def test_a_dsn_that_is_none_is_told_without_it(to_postgres, ads, dsn):
    ads.change(ad("facebook", 1))

    with pytest.raises(TargetError, match="SERVED_POSTGRES_DSN is no connection string") as refused:
        to_postgres.load(FACEBOOK_ADS, served_postgres_dsn=dsn)

    assert SECRET not in said(refused)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda dsn: dsn.replace("//platform:", "//nobody:"), "refuses the user or password"),
        (lambda dsn: f"{dsn}s", "has no database of that name"),
        (lambda dsn: f"{dsn}?sslmode=require", "could not be reached, or broke off"),
    ],
    ids=["user", "database", "encryption"],
)
def test_what_is_wrong_in_a_dsn_is_named(to_postgres, ads, wrong, says):
    ads.change(ad("facebook", 1))

    with pytest.raises(TargetError, match=says):
        to_postgres.load(FACEBOOK_ADS, served_postgres_dsn=wrong(to_postgres.given["served_postgres_dsn"]))


def test_settings_that_redshift_lacks_are_named_together(to_redshift, ads):
    ads.change(ad("facebook", 1))

    with pytest.raises(TargetError, match="REDSHIFT_USERNAME, REDSHIFT_STAGING_URI not set"):
        to_redshift.load(FACEBOOK_ADS, redshift_username=None, redshift_staging_uri=None)
    with pytest.raises(TargetError, match="REDSHIFT_STAGING_URI is no s3://bucket/prefix"):
        to_redshift.load(FACEBOOK_ADS, redshift_staging_uri="/a/folder")


def test_s3_that_is_not_reached_leaves_redshift_as_it_was(to_redshift, ads, unused_port):
    ads.change(ad("facebook", 1))
    to_redshift.load(FACEBOOK_ADS)
    before = to_redshift.rows(FACEBOOK_ADS)
    ads.change(ad("facebook", 1, clicks=5))

    with pytest.raises(
        SourceError, match="AWS could not be asked for the place of REDSHIFT_STAGING_URI"
    ) as refused:
        to_redshift.load(FACEBOOK_ADS, aws_endpoint_url=f"http://127.0.0.1:{unused_port}", http_retries=0)

    assert "a-secret-of-s3" not in said(refused)
    assert to_redshift.rows(FACEBOOK_ADS) == before


def test_a_bucket_that_is_not_there_is_named(to_redshift, ads):
    ads.change(ad("facebook", 1))

    with pytest.raises(SourceError, match=r"s3://nowhere/served.* NoSuchBucket"):
        to_redshift.load(FACEBOOK_ADS, redshift_staging_uri="s3://nowhere/served")

    assert not to_redshift.has("facebook_ads")


def test_files_that_redshift_can_not_find_fail_the_load_whole(to_redshift, ads, s3, monkeypatch):
    ads.change(ad("facebook", 1))
    copy = RedshiftSession._copy

    def without_files(session, staged):
        for key in staged.keys:
            s3.delete_object(Bucket=BUCKET, Key=key)
        copy(session, staged)

    monkeypatch.setattr(RedshiftSession, "_copy", without_files)

    with pytest.raises(TargetError, match=r"S3 prefix .* does not exist"):
        to_redshift.load(FACEBOOK_ADS)

    assert not to_redshift.has("facebook_ads")


def test_staged_files_are_gone_after_a_load_whether_it_ends_well_or_not(to_redshift, ads, staged_keys):
    ads.change(ad("facebook", 1))
    to_redshift.load(FACEBOOK_ADS)
    assert staged_keys() == []
    to_redshift.execute("alter table facebook_ads add constraint few check (clicks < 1000)")
    ads.change(ad("facebook", 1, clicks=5_000))

    with pytest.raises(TargetError):
        to_redshift.load(FACEBOOK_ADS)

    assert staged_keys() == []


def test_files_of_a_killed_load_are_in_no_later_loads_way(to_redshift, ads, killed_load, staged_keys):
    ads.change(*(ad("facebook", number) for number in range(10)))
    killed_load(to_redshift.order("facebook_ads", method="put", statement="", after=True))
    left = staged_keys()
    assert len(left) == 1
    assert not to_redshift.has("facebook_ads")

    to_redshift.load(FACEBOOK_ADS)

    to_redshift.agrees(FACEBOOK_ADS, ads)
    assert staged_keys() == left


def test_redshift_reads_by_the_role_that_is_set(to_redshift, ads, redshift):
    ads.change(ad("facebook", 1))
    to_redshift.load(FACEBOOK_ADS)
    ads.change(ad("facebook", 2))
    role = "arn:aws:iam::123456789012:role/reads-staging"
    to_redshift.load(FACEBOOK_ADS, redshift_iam_role=role)

    copies = [statement for statement in redshift.statements if statement.startswith("copy")]
    assert ["iam_role default" in copies[0], f"iam_role '{role}'" in copies[1]] == [True, True]
    assert not any("a-secret-of-s3" in statement for statement in redshift.statements)


def test_the_assets_of_a_target_load_it_and_say_what_they_did(loading, ads):
    ads.change(ad("facebook", 1), ad("facebook", 2), ad("google", 3))
    facebook, google = served_assets(loading.settings())

    done = dg.materialize([facebook, google])

    [event] = done.asset_materializations_for_node(facebook.node_def.name)[:1]
    assert event.asset_key == dg.AssetKey(["served", loading.name, "facebook_ads"])
    assert event.metadata["dagster/row_count"].value == 2
    assert event.metadata["added"].value == 2
    loading.agrees(FACEBOOK_ADS, ads)


def test_an_asset_that_fails_says_why_without_the_password_and_is_not_tried_again(to_postgres, ads):
    ads.change(ad("facebook", 1))
    user, _, place = to_postgres.given["served_postgres_dsn"].partition("@")
    wrong = f"{user.rpartition(':')[0]}:{SECRET}@{place}"
    facebook, _ = served_assets(to_postgres.settings(served_postgres_dsn=wrong))

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([facebook], instance=instance, raise_on_error=False)
        events = [str(entry) for entry in instance.all_logs(done.run_id)]

    assert not done.success
    assert any("served/postgres/facebook_ads was not loaded: PostgreSQL at" in event for event in events)
    assert not any(SECRET in event for event in events)
    assert not any("STEP_UP_FOR_RETRY" in event for event in events)
