"""Silver opportunity_amounts: one row per opportunity, with its amount in US dollars by the rate of its close date.

Known untruths: a deal that closes in the future is worth what it would be today; one in a currency that nobody
publishes, or before the first rate, has no dollars.
"""

from pyspark.sql import DataFrame

from data_platform.declarations import DATE, DECIMAL, STRING, Column
from data_platform.silver.exchange import touched_by_rates, with_dollars
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.rest_api import EXCHANGE_RATES
from data_platform.sources.salesforce import OPPORTUNITIES

DEALS, RATES = OPPORTUNITIES.silver_name, EXCHANGE_RATES.silver_name


def opportunity_amounts(inputs: Inputs) -> DataFrame:
    deals = inputs[DEALS].select("opportunity_id", "amount", "currency", "close_date", "_landed_at")
    return with_dollars(deals, inputs[RATES], amount="amount", currency="currency", day="close_date")


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    by_rate = touched_by_rates(
        live[DEALS], changed[RATES], live[RATES], currency="currency", day="close_date"
    )
    return changed[DEALS].select("opportunity_id").unionByName(by_rate.select("opportunity_id"))


OPPORTUNITY_AMOUNTS = Joined(
    name="opportunity_amounts",
    description="Opportunities with their amount in US dollars, by the rate of the day on which they close.",
    owner="team:revenue",
    key=("opportunity_id",),
    inputs=(OPPORTUNITIES, EXCHANGE_RATES),
    columns=(
        Column("opportunity_id", STRING, required=True),
        Column("amount", DECIMAL(18, 2), sensitive=True, description="In the opportunity's own currency."),
        Column("currency", STRING),
        Column("close_date", DATE),
        Column("amount_usd", DECIMAL(18, 2), sensitive=True, description="By the rate of the close date."),
    ),
    made=opportunity_amounts,
    touched=touched,
    by_key_alone=(DEALS, RATES),
    belonging={DEALS: ("opportunity_id",)},
)
