"""What a Lambda of ours lands from public REST APIs. What it does: lambdas; how files are read: connectors/landing."""

from datetime import date

from data_platform.declarations import (
    DAILY,
    DATE,
    DECIMAL,
    ERROR,
    STRING,
    Column,
    Entries,
    Normalise,
    Rule,
    Snapshot,
    SourceTable,
    at_least,
    days,
    not_ahead,
    not_before,
    years,
)

EXCHANGE_RATES = SourceTable(
    system="rest_api",
    name="exchange_rates",
    reads="raw/api-data/exchange_rates/",
    description="What one unit of the base currency costs in others, on each day that rates were published for.",
    key=("currency", "date"),
    # A response is a document of one day, with a map of rates by currency.
    load=Snapshot(
        prefix="raw/api-data/exchange_rates/",
        entries=Entries(of="rates", name="currency", value="rate"),
    ),
    every=DAILY,
    owner="team:finance",
    keep_for=years(10),
    # How many units of the base the rates are for: always one, since the Lambda asks for no other.
    ignores=("amount",),
    columns=(
        Column(
            "currency",
            STRING,
            required=True,
            normalise=Normalise.UPPER,
            rule=Rule("is_currency_code", "{column} rlike '^[A-Z][A-Z][A-Z]$'", "is three capital letters"),
            description="ISO 4217's three letters.",
        ),
        Column(
            "date",
            DATE,
            required=True,
            rule=(not_before(date(1999, 1, 4)), not_ahead(days(1), ERROR)),
            description="The day that the rates were published for; weekends and holidays have none.",
        ),
        Column("base", STRING, required=True, normalise=Normalise.UPPER),
        Column(
            "rate",
            DECIMAL(18, 8),
            required=True,
            rule=at_least(0.00000001),
            description="Units of the currency for one unit of the base.",
        ),
    ),
)

TABLES = (EXCHANGE_RATES,)
