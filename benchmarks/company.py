"""A company of any size, written as Parquet by DuckDB in seconds: what each source would hand over, day by day.

Day 0 is the history; each day after it changes a share of what day 0 held, one in a hundred unless told otherwise, the
way a company's days do: new orders and events, the last days' orders moving on, some customers anywhere who change
their data. Rows come with the columns that their connector would give, in the order of their keys or moments.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from data_platform.declarations import SourceTable, Stream
from data_platform.sources.catalogue import TABLES

# Its newest day, long enough ago that no clock calls an event early.
TODAY = datetime(2026, 6, 1, 6, tzinfo=UTC)
HISTORY_DAYS = 730
SHARE = 0.01


@dataclass(frozen=True)
class Size:
    orders: int = 1_000_000
    customers: int = 200_000
    events: int = 5_000_000

    @classmethod
    def at(cls, scale: float) -> "Size":
        usual = cls()
        return cls(*(round(each * scale) for each in (usual.orders, usual.customers, usual.events)))


CATEGORIES = "['Books', 'Garden', 'Kitchen', 'Toys', 'Children''s wear']"
STEPS = [
    *("page_view", "product_view") * 2,
    "add_to_cart",
    "checkout_started",
    *("page_view",) * 3,
    "purchase",
]
# A number from 0 up to the second, by chance that is the same each time.
MACROS = f"""
create macro chance(x, among) as (hash(x) % among)::bigint;
create macro customer_of(n) as if(n % 10 < 7, format('003{{:015d}}', n), format('S-{{:08d}}', n));
create macro address_of(n, day) as
    if(day > 0, format('person{{}}.of{{}}@example.com', n, day), format('person{{}}@example.com', n));
create macro category_of(n) as {CATEGORIES}[1 + (n % 5)];
create macro currency_of(n) as ['EUR', 'EUR', 'USD', 'GBP'][1 + (n % 4)];
create macro price_of(n) as ((500 + chance(n, 20000)) / 100)::decimal(18, 2);
"""


class Company:
    """The files of each table below `folder`, one for each day that was written."""

    def __init__(self, folder: Path, size: Size, share: float = SHARE) -> None:
        self.folder = folder
        self.size = size
        self.share = share
        self.rows: dict[tuple[str, int], int] = {}

    def write(self, day: int) -> int:
        """Everything that day hands over; returns how many rows."""
        with duckdb.connect() as made:
            made.execute("set timezone = 'UTC'; set threads = 2; set memory_limit = '6GB'")
            made.execute(MACROS)
            for table in TABLES:
                if question := self._questions(day).get(table.name):
                    self._write(made, table, day, question)
        return sum(rows for (_, of_day), rows in self.rows.items() if of_day == day)

    def _write(self, made: duckdb.DuckDBPyConnection, table: SourceTable, day: int, question: str) -> None:
        file = self.folder / table.system / table.name / f"{day:05d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        order = ""
        if isinstance(table.load, Stream):
            order = f", ({day} * 1000000000 + row_number() over ())::decimal(38, 0) as _order"
        said = f"select told.*, 'upsert' as _op, '{table.reads}' as _origin{order} from ({question}) told"
        written = made.execute(f"copy ({said}) to '{file}' (format parquet)").fetchall()
        self.rows[table.name, day] = int(written[0][0])

    def _questions(self, day: int) -> dict[str, str]:
        return {**self._customers(day), **self._orders(day), **self._events(day), **self._others(day)}

    def _moment(self, day: int) -> str:
        return f"timestamptz '{TODAY + timedelta(days=day):%Y-%m-%d %H:%M:%S}+00'"

    def _numbers(self, of: int, day: int, salt: int) -> str:
        """On day 0 all numbers, later a share of them, anywhere."""
        if not day:
            return f"range({of}) numbers(n)"
        few = max(1, round(of * self.share))
        return (
            f"(select distinct chance(i + {day * 7919 + salt}, {of}) as n from range({few}) drawn(i)) numbers"
        )

    def _customers(self, day: int) -> dict[str, str]:
        size, now = self.size, self._moment(day)
        accounts = max(10, size.customers // 20)
        began = f"{now} - to_days(cast({day} + 1 + chance(n, {HISTORY_DAYS - 1}) as int))"
        stamps = f"{began} as CreatedDate, {now} - to_seconds(1 + n % 80000) as SystemModstamp"
        return {
            "accounts": f"""
                select format('001{{:015d}}', n) as Id, format('Company {{}} of {day}', n) as Name,
                    'Paris' as BillingCity, 'France' as BillingCountry, {stamps}
                from {self._numbers(accounts, day, 1)} order by Id""",
            "contacts": f"""
                select customer_of(n) as Id, format('001{{:015d}}', n % {accounts}) as AccountId,
                    format('First{{}}', n) as FirstName, format('Last{{}}', n) as LastName,
                    format('First{{}} Last{{}}', n, n) as Name, address_of(n, {day}) as Email, {stamps}
                from {self._numbers(size.customers, day, 2)} where n % 10 < 7 order by Id""",
            "leads": f"""
                select format('00Q{{:015d}}', n) as Id, 'Lead' as FirstName, format('Last{{}}', n) as LastName,
                    format('lead{{}}@example.org', n) as Email, 'Web' as LeadSource, false as IsConverted,
                    ['Open - Not Contacted', 'Working - Contacted'][1 + ((n + {day}) % 2)] as Status, {stamps}
                from {self._numbers(size.customers // 10, day, 3)} order by Id""",
            "opportunities": f"""
                select format('006{{:015d}}', n) as Id, format('001{{:015d}}', n % {accounts}) as AccountId,
                    format('Deal {{}}', n) as Name, 'Prospecting' as StageName, price_of(n + {day}) * 100 as Amount,
                    'EUR' as CurrencyIsoCode, false as IsWon, false as IsClosed,
                    cast({now} as date) + cast(n % 60 as int) as CloseDate, {stamps}
                from {self._numbers(size.customers // 10, day, 4)} order by Id""",
            "customers": f"""
                select customer_of(n) as customer_id, address_of(n, {day}) as email,
                    format('First{{}} Last{{}}', n, n) as full_name,
                    ['free', 'plus', 'business'][1 + ((n + {day}) % 3)] as tier, true as is_active,
                    {began} as created_at, {now} as updated_at
                from {self._numbers(size.customers, day, 2)} order by customer_id""",
            "clevertap_profiles": f"""
                select format('C{{:08d}}', n) as identity, format('First{{}} Last{{}}', n, n) as name,
                    upper(address_of(n, {day})) as email, cast({now} as date) - 1 as day
                from {self._numbers(size.customers // 4, day, 2)} order by identity""",
            "subscriptions": f"""
                select n as subscription_id, customer_of(n) as customer_id, 'team' as plan,
                    9.90::decimal(12, 2) as price, 'EUR' as currency, 'active' as status, {began} as started_at,
                    1 + ((n + {day}) % 5) as seats, 0.0::double as discount,
                    {now} - to_seconds(1 + n % 80000) as updated_at
                from {self._numbers(size.customers // 4, day, 5)} order by subscription_id""",
        }

    def _span(self, of: int, day: int) -> tuple[int, int, int]:
        """The first and last number that a day hands over, and the first of its new ones: three in ten move on."""
        if not day:
            return 0, of, 0
        new = max(1, round(of * self.share * 0.7))
        first = of + (day - 1) * new
        return max(0, first - round(of * self.share * 0.3)), first + new, first

    def _ordered_at(self, n: str) -> str:
        """Orders follow each other: those of the history evenly, those of a day within it."""
        of, new = self.size.orders, max(1, round(self.size.orders * self.share * 0.7))
        start = self._moment(0)
        return (
            f"if({n} < {of}, {start} - to_seconds(cast(({of} - {n}) * {HISTORY_DAYS * 86400 / of} as bigint)), "
            f"{start} + to_seconds(cast(({n} - {of}) * {86400 / new} as bigint)))"
        )

    def _orders(self, day: int) -> dict[str, str]:
        size, now = self.size, self._moment(day)
        since, until, first = self._span(size.orders, day)
        at = self._ordered_at("n")
        numbers = f"range({since}, {until}) numbers(n)"
        new = f"range({first}, {until}) numbers(n)"
        customer = f"customer_of(chance(n, {size.customers}))"
        amount = f"(price_of(n % {self._products}) * (1 + n % 3))"
        # Those of the last days are still on their way.
        status = (
            f"if(n < {first}, 'delivered', if(n % 20 = 0, 'placed', 'shipped'))" if day else "'delivered'"
        )
        touched = f"if(n < {first}, {now} - to_seconds(1 + n % 3600), {at})"
        stamp = f"least({now} - interval '1 minute', {touched})" if day else at
        items = """'[{{"product_id": "P-{:06d}", "quantity": {}}}]'"""
        events = [
            f"""select format('OE-{{}}-{kind}', n) as event_id, '{kind}' as event_type,
                {at} + to_minutes({late}) as event_time, format('O-{{:09d}}', n) as order_id, {customer} as customer_id,
                {amount} as amount, currency_of(n) as currency, 'card' as payment_method, n as payment_id,
                'web' as sales_channel, 'FR' as shipping_country,
                format({items}, n % {self._products}, 1 + n % 3) as items
            from {numbers_of}"""
            for kind, late, numbers_of in (("placed", 0, new), ("paid", 2, new))
        ]
        return {
            "product_catalog": f"""
                select format('P-{{:06d}}', n) as product_id, format('Thing {{}} of {day}', n) as product_name,
                    category_of(n) as category, price_of(n) as price, true as is_active,
                    {now} - to_seconds(1 + n % 80000) as updated_at
                from {self._numbers(self._products, day, 6)} order by product_id""",
            "customer_orders": f"""
                select format('O-{{:09d}}', n) as order_id, {customer} as customer_id,
                    format('P-{{:06d}}', n % {self._products}) as product_id, 1 + n % 3 as quantity, {amount} as amount,
                    currency_of(n) as currency, {status} as status, cast({at} as date) as order_date,
                    {at} + interval '1 hour' as shipped_at, {stamp} as updated_at
                from {numbers} order by updated_at, order_id""",
            "financial_transactions": f"""
                select format('T-{{:09d}}-{{}}', n, side) as transaction_id, format('J-{{:09d}}', n) as journal_id,
                    format('O-{{:09d}}', n) as order_id, if(side = 0, 'receivables', 'sales') as account,
                    if(side = 0, {amount}, 0) as debit, if(side = 1, {amount}, 0) as credit, currency_of(n) as currency,
                    cast({at} as date) as booked_on, {at} as updated_at
                from {new}, range(2) sides(side) order by transaction_id""",
            "payments": f"""
                select n as payment_id, {customer} as customer_id, {amount} as amount, currency_of(n) as currency,
                    'card' as method, false as is_refund, {at} + interval '2 minutes' as paid_at, {at} as updated_at
                from {new} order by payment_id""",
            "order_events": " union all ".join(events),
        }

    @property
    def _products(self) -> int:
        return max(10, self.size.orders // 200)

    def _events(self, day: int) -> dict[str, str]:
        """Visits of ten events each, one after the other; what a company sells leaves its shelves."""
        visits = max(1, (self.size.events - 2 * self.size.orders) // 10)
        _, until, first = self._span(visits, day)
        span = HISTORY_DAYS * 86_400 if not day else 80_000
        begun = self._moment(day)
        share = f"((n - {first}) * {span / max(1, until - first)})"
        at = f"{begun} - to_seconds(cast({span} - {share} as bigint)) + to_seconds(20 * step)"
        bins = max(1, round(self._products * (1 if not day else self.share)))
        return {
            "user_events": f"""
                select format('UE-{{}}-{{}}', n, step) as event_id, {STEPS}[1 + step] as event_type, {at} as event_time,
                    {at} + interval '1 second' as received_at,
                    customer_of(chance(n, {self.size.customers})) as user_id,
                    format('S-{{}}', n) as session_id, 1 + step as sequence, 'mobile' as device_type, 'FR' as country,
                    format('P-{{:06d}}', chance(n + step, {self._products})) as product_id,
                    'https://shop.example.com/' as page_url, format('campaign-{{}}', n % 20) as utm_campaign,
                    false as is_bot, if(step = 9, price_of(n), null) as value, 'EUR' as currency
                from range({first}, {until}) visits(n), range(10) steps(step)""",
            "inventory_updates": f"""
                select format('IU-{day}-{{}}', n) as event_id, 'stocktake' as reason,
                    {begun} - to_seconds(1 + n % 80000) as event_time, format('P-{{:06d}}', n) as product_id,
                    category_of(n) as category, 'W-1' as warehouse_id, -1 as quantity_change,
                    100 + (n + {day}) % 50 as quantity_on_hand, n % 10 as quantity_reserved,
                    price_of(n) as unit_cost, 'EUR' as currency
                from (select distinct chance(i + {day}, {self._products}) as n from range({bins}) drawn(i))""",
        }

    def _others(self, day: int) -> dict[str, str]:
        now = self._moment(day)
        taking_part = max(1, self.size.customers // 20)
        days = f"range({HISTORY_DAYS if not day else 1}) days(back)"
        today = f"cast({now} as date) - cast(back as int)"
        return {
            "exchange_rates": f"""
                select currency, {today} as date, 'EUR' as base, rate::decimal(18, 8) as rate
                from {days}, (values ('USD', 1.10), ('GBP', 0.85), ('JPY', 160.0)) rates(currency, rate)""",
            "campaign_info": f"""
                select format('campaign-{{}}', n) as campaignID, 'T-1' as taskID,
                    format('Campaign {{}}', n) as campaignName, 'Task of {day}' as taskName,
                    {now} - to_days(10) as createdAt, {now} + to_days(10) as taskDeadline,
                    5.00::decimal(18, 2) as reward, true as isActive
                from {self._numbers(20, day, 7)}""",
            "user_campaign": f"""
                select customer_of(n) as userID, format('campaign-{{}}', n % 20) as campaignID,
                    {now} - to_days(5) as createdAt, {now} - to_seconds(1 + n % 80000) as updatedAt, 'active' as status,
                    ({day} + n % 100)::decimal(38, 10) as points
                from {self._numbers(taking_part, day, 8)}""",
            "facebook_ads": f"""
                select '1' as account_id, 'Ours' as account_name, 'EUR' as account_currency,
                    format('{{}}', ad % 20) as campaign_id,
                    format('campaign-{{}}', ad % 20) as campaign_name, format('{{}}', ad) as ad_id, 'Ad' as ad_name,
                    1000 as impressions, 10 as clicks, 900 as reach, 5 as inline_link_clicks,
                    price_of(ad + back + {day}) as spend, {today} as date_start
                from {days}, range(20) ads(ad)""",
        }
