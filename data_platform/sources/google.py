"""What is landed from Google Ads, in GAQL's own names. How it is read: connectors/google_ads."""

from datetime import date

from data_platform.declarations import (
    DAILY,
    DATE,
    INTEGER,
    STRING,
    Column,
    Normalise,
    SourceTable,
    Window,
    at_least,
    days,
    holds,
    not_ahead,
    not_before,
    one_of,
    years,
)

GOOGLE_ADS = SourceTable(
    system="google",
    name="google_ads",
    reads="ad_group_ad",
    description="What each ad on Google showed, brought and cost, by day of its account.",
    key=("ad_group_ad.ad.id", "segments.date"),
    # Google corrects clicks it finds invalid, and attributes conversions, for about a month.
    load=Window(day="segments.date", restated=days(30)),
    every=DAILY,
    owner="team:marketing",
    keep_for=years(3),
    columns=(
        Column("customer.id", STRING, required=True, silver="account_id"),
        Column("customer.descriptive_name", STRING, silver="account_name"),
        Column(
            "customer.currency_code",
            STRING,
            silver="currency",
            normalise=Normalise.UPPER,
            rule=one_of("EUR", "USD", "GBP", "CHF", "JPY"),
        ),
        Column("campaign.id", STRING, silver="campaign_id"),
        Column("campaign.name", STRING, silver="campaign_name"),
        Column("ad_group.id", STRING, silver="ad_group_id"),
        Column("ad_group.name", STRING, silver="ad_group_name"),
        Column("ad_group_ad.ad.id", STRING, required=True, silver="ad_id"),
        Column("ad_group_ad.ad.name", STRING, silver="ad_name"),
        Column("ad_group_ad.status", STRING, silver="ad_status"),
        Column("metrics.impressions", INTEGER, silver="impressions", rule=at_least(0)),
        Column("metrics.clicks", INTEGER, silver="clicks", rule=at_least(0)),
        Column(
            "metrics.cost_micros",
            INTEGER,
            silver="cost_micros",
            sensitive=True,
            rule=at_least(0),
            description="Millionths of the account's currency; ad performance makes the decimal spend of it.",
        ),
        Column(
            "segments.date",
            DATE,
            required=True,
            silver="date",
            # An account ahead of our clock has its day earlier than we do.
            rule=(not_before(date(2010, 1, 1)), not_ahead(days(1))),
            description="The day, in the account's time zone.",
        ),
    ),
    rules=(
        holds(
            "clicks_within_impressions",
            "{metrics.clicks} <= {metrics.impressions}",
            "no more clicks than impressions",
        ),
    ),
)

TABLES = (GOOGLE_ADS,)
