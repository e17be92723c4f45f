"""What may be declared as served, and that the declared tables are what silver holds."""

import dagster as dg
import pytest
from pydantic import SecretStr

from data_platform.declarations import BOOLEAN, DATE, LIST, STRING, DeclarationError
from data_platform.gold.served import FACEBOOK_ADS, GOOGLE_ADS, SERVED, served_assets, target_for, targets
from data_platform.gold.serving.declared import Served, ServedColumn
from data_platform.settings import Settings


def table(**given):
    usual = {
        "name": "orders",
        "source": "shop_orders",
        "description": "Orders.",
        "owner": "team:shop",
        "key": ("id",),
        "columns": (ServedColumn("id", STRING), ServedColumn("ordered_on", DATE)),
    }
    return Served(**(usual | given))


def settings(**given):
    return Settings(_env_file=None, **given)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (lambda: ServedColumn("Id", STRING), "'Id' is not snake_case"),
        (lambda: ServedColumn('id"; drop table x', STRING), "is not snake_case"),
        (lambda: ServedColumn("tags", LIST(STRING)), "column tags is a list, which is not served"),
        (
            lambda: table(columns=(ServedColumn("id", STRING), ServedColumn("is_deleted", BOOLEAN))),
            "is_deleted can't be served",
        ),
        (lambda: table(keeps_deleted=True), "does not say which they are"),
        (lambda: table(name="Orders"), "'Orders' is not snake_case"),
        (lambda: table(key=()), "orders is kept by its key, and nothing is not what it serves"),
        (lambda: table(key=("id", "day")), "and id, day is not what it serves"),
        (lambda: table(columns=(ServedColumn("id", STRING),) * 2), "orders serves id twice"),
    ],
)
def test_a_declaration_that_would_do_harm_is_refused(declared, says):
    with pytest.raises(DeclarationError, match=says):
        declared()


@pytest.mark.parametrize("served", (FACEBOOK_ADS, GOOGLE_ADS), ids=lambda served: served.name)
def test_what_is_served_of_ads_is_what_silver_holds_of_them(served):
    from data_platform.silver.ad_performance import AD_PERFORMANCE

    held = {column.name: column for column in AD_PERFORMANCE.columns}

    assert served.source == AD_PERFORMANCE.name
    assert served.owner == AD_PERFORMANCE.owner
    for column in served.columns:
        there = held[column.silver_name]
        assert (column.type, column.sensitive) == (there.type, there.sensitive)
        assert there.personal is None


@pytest.mark.parametrize("served", SERVED, ids=lambda served: served.name)
def test_the_key_and_the_given_values_are_silvers_key(served):
    from data_platform.silver.ad_performance import AD_PERFORMANCE

    reads = {column.name: column.silver_name for column in served.columns}
    assert {reads[name] for name in served.key} | set(served.where) == set(AD_PERFORMANCE.key)
    assert not {reads[name] for name in served.key} & set(served.where)


def test_targets_without_an_address_have_no_assets():
    assert served_assets(settings()) == []
    assert targets(settings(redshift_host="cluster.example.com")) == ["redshift"]
    assert targets(settings(served_postgres_dsn=SecretStr("postgresql://db.example.com/ads"))) == ["postgres"]


def test_every_table_is_an_asset_of_every_target():
    both = settings(redshift_host="cluster.example.com", served_postgres_dsn=SecretStr("postgresql://db/ads"))

    assets = {
        asset.key.to_user_string(): asset for asset in served_assets(both, dg.AutomationCondition.eager())
    }

    assert set(assets) == {
        f"served/{target}/{name}"
        for target in ("postgres", "redshift")
        for name in ("facebook_ads", "google_ads")
    }
    for key, asset in assets.items():
        [spec] = asset.specs
        assert spec.deps == [dg.AssetDep(dg.AssetKey(["silver", "ad_performance"]))]
        assert spec.group_name == "served"
        assert spec.kinds == {key.split("/")[1]}
        assert spec.automation_condition == dg.AutomationCondition.eager()
        assert asset.op.pool == f"served_{key.split('/')[1]}"
    dg.Definitions(assets=list(assets.values())).resolve_all_asset_specs()


def test_a_target_opens_nothing_before_a_session():
    given = settings(
        served_postgres_dsn=SecretStr("postgresql://nowhere.invalid/ads"),
        redshift_host="nowhere.invalid",
        redshift_database="ads",
        redshift_username="loader",
        redshift_password=SecretStr("a-secret-word"),
        redshift_staging_uri="s3://bucket/prefix",
    )
    for name in targets(given):
        assert target_for(name, given).name == name
