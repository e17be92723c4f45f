"""What is landed from Facebook Ads, in its own names. How it is read: connectors/facebook."""

from datetime import date

from data_platform.declarations import (
    DAILY,
    DATE,
    DECIMAL,
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

FACEBOOK_ADS = SourceTable(
    system="facebook",
    name="facebook_ads",
    reads="insights",
    description="What each ad on Facebook showed, brought and cost, by day of its account.",
    key=("ad_id", "date_start"),
    # Facebook attributes clicks and sales to a day up to 28 days later.
    load=Window(day="date_start", restated=days(28)),
    every=DAILY,
    owner="team:marketing",
    keep_for=years(3),
    columns=(
        Column("account_id", STRING, required=True),
        Column("account_name", STRING),
        Column(
            "account_currency",
            STRING,
            silver="currency",
            normalise=Normalise.UPPER,
            rule=one_of("EUR", "USD", "GBP", "CHF", "JPY"),
        ),
        Column("campaign_id", STRING),
        Column("campaign_name", STRING),
        Column("adset_id", STRING),
        Column("adset_name", STRING),
        Column("ad_id", STRING, required=True),
        Column("ad_name", STRING),
        Column("impressions", INTEGER, rule=at_least(0)),
        Column("clicks", INTEGER, rule=at_least(0)),
        Column("reach", INTEGER, rule=at_least(0)),
        Column("inline_link_clicks", INTEGER, rule=at_least(0)),
        Column(
            "spend",
            DECIMAL(18, 2),
            sensitive=True,
            rule=at_least(0),
            description="In the account's currency.",
        ),
        Column(
            "date_start",
            DATE,
            required=True,
            silver="date",
            # An account ahead of our clock has its day earlier than we do.
            rule=(not_before(date(2010, 1, 1)), not_ahead(days(1))),
            description="The day, in the account's time zone.",
        ),
    ),
    rules=(
        holds("clicks_within_impressions", "{clicks} <= {impressions}", "no more clicks than impressions"),
    ),
)

TABLES = (FACEBOOK_ADS,)
