"""Silver ad_performance: one row per platform, ad and day of the ad's account, Facebook and Google in one schema.

Known untruths: a day is the account's own, so that two accounts' days begin at different moments; spend in a currency
that nobody publishes, or before the first rate, has no dollars; Facebook's ad sets are called ad groups.
"""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import DATE, DECIMAL, DOUBLE, INTEGER, STRING, Column
from data_platform.silver.exchange import touched_by_rates, with_dollars
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.facebook import FACEBOOK_ADS
from data_platform.sources.google import GOOGLE_ADS
from data_platform.sources.rest_api import EXCHANGE_RATES

FACEBOOK, GOOGLE, RATES = FACEBOOK_ADS.silver_name, GOOGLE_ADS.silver_name, EXCHANGE_RATES.silver_name
SAID_ALIKE = (
    "account_id",
    "account_name",
    "currency",
    "campaign_id",
    "campaign_name",
    "ad_id",
    "ad_name",
    "impressions",
    "clicks",
    "_landed_at",
)


def of_facebook(ads: DataFrame) -> DataFrame:
    return ads.select(
        F.lit("facebook").alias("platform"),
        *SAID_ALIKE,
        F.col("adset_id").alias("ad_group_id"),
        F.col("adset_name").alias("ad_group_name"),
        F.col("date").alias("day"),
        "spend",
    )


def of_google(ads: DataFrame) -> DataFrame:
    return ads.select(
        F.lit("google").alias("platform"),
        *SAID_ALIKE,
        "ad_group_id",
        "ad_group_name",
        F.col("date").alias("day"),
        (F.col("cost_micros") / F.lit(1_000_000).cast("decimal(7,0)")).cast("decimal(18,2)").alias("spend"),
    )


def in_one_schema(inputs: Inputs) -> DataFrame:
    return of_facebook(inputs[FACEBOOK]).unionByName(of_google(inputs[GOOGLE]))


def ad_performance(inputs: Inputs) -> DataFrame:
    ads = with_dollars(in_one_schema(inputs), inputs[RATES], amount="spend", currency="currency", day="day")
    return ads.withColumns(
        {
            # Nothing where there is nothing to divide by.
            "click_through_rate": F.when(F.col("impressions") > 0, F.col("clicks") / F.col("impressions")),
            "cost_per_click": F.when(F.col("clicks") > 0, F.col("spend") / F.col("clicks")),
        }
    )


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    by_rate = touched_by_rates(
        in_one_schema(live), changed[RATES], live[RATES], currency="currency", day="day"
    )
    changed_ads = (
        changed[name].select(F.lit(platform).alias("platform"), "ad_id", F.col("date").alias("day"))
        for name, platform in ((FACEBOOK, "facebook"), (GOOGLE, "google"))
    )
    return reduce(DataFrame.unionByName, changed_ads, by_rate.select(*AD_PERFORMANCE.key))


AD_PERFORMANCE = Joined(
    name="ad_performance",
    description="What each ad showed, brought and cost by day, Facebook and Google in one schema, also in US dollars.",
    owner="team:marketing",
    key=("platform", "ad_id", "day"),
    inputs=(FACEBOOK_ADS, GOOGLE_ADS, EXCHANGE_RATES),
    columns=(
        Column("platform", STRING, required=True, description="facebook or google."),
        Column("account_id", STRING),
        Column("account_name", STRING),
        Column("campaign_id", STRING),
        Column("campaign_name", STRING),
        Column("ad_group_id", STRING),
        Column("ad_group_name", STRING),
        Column("ad_id", STRING, required=True),
        Column("ad_name", STRING),
        Column("day", DATE, required=True, description="In the account's time zone."),
        Column("impressions", INTEGER),
        Column("clicks", INTEGER),
        Column("currency", STRING),
        Column("spend", DECIMAL(18, 2), sensitive=True, description="In the account's currency."),
        Column("spend_usd", DECIMAL(18, 2), sensitive=True, description="By the rate of the day."),
        Column("click_through_rate", DOUBLE, description="Clicks by impressions."),
        Column("cost_per_click", DECIMAL(18, 4), sensitive=True, description="In the account's currency."),
    ),
    made=ad_performance,
    touched=touched,
    by_key_alone=(FACEBOOK, GOOGLE, RATES),
    belonging={ads: {"ad_id": "ad_id", "day": "date"} for ads in (FACEBOOK, GOOGLE)},
)
