"""The marts after twenty rounds of change, against sums made in plain Python from the truth of the facts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.gold.company import Row
from tests.integration.gold.truth import UNKNOWN

NOTHING = Decimal(0)


def groups(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    made: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        made[key(row)].append(row)
    return made


def total(rows: Iterable[Row], name: str) -> Decimal:
    return sum((row[name] or NOTHING for row in rows), NOTHING)


def month(day: Any) -> Any:
    return day.replace(day=1)


@pytest.fixture(scope="module")
def orders(gold) -> list[Row]:
    """Those that are there, in the order in which they were placed."""
    live = [row for row in gold.truth.orders() if not row["is_deleted"]]
    return sorted(live, key=lambda row: (row["ordered_at"], row["order_id"]))


@pytest.fixture(scope="module")
def sessions(gold) -> list[Row]:
    return [row for row in gold.truth.sessions() if not row["is_deleted"]]


def customers_of(rows: Iterable[Row]) -> set[str]:
    return {row["customer"][0] for row in rows if row["customer"] != UNKNOWN}


def test_sales_by_day(gold, orders):
    firsts: dict[str, str] = {}
    for row in orders:
        firsts.setdefault(row["customer"][0], row["order_id"])
    first_orders = {order for customer, order in firsts.items() if customer != "(unknown)"}
    asked = """
        select order_date, orders, kept_orders, customers, new_customers, items, revenue_usd
        from sales.mart_sales_by_day
    """
    assert sorted(gold.query(asked)) == sorted(
        (
            day,
            len(rows),
            sum(not row["is_undone"] for row in rows),
            len(customers_of(rows)),
            sum(row["order_id"] in first_orders for row in rows),
            sum(row["quantity"] for row in rows if not row["is_undone"]),
            total(rows, "revenue_usd"),
        )
        for day, rows in groups(orders, lambda row: row["order_date"]).items()
    )


def test_sales_by_product(gold, orders):
    asked = "select order_month, product_id, orders, returned_orders, revenue_usd from sales.mart_sales_by_product"
    by = groups(orders, lambda row: (month(row["order_date"]), row["product_id"]))
    assert sorted(gold.query(asked)) == sorted(
        (*key, len(rows), sum(row["status"] == "returned" for row in rows), total(rows, "revenue_usd"))
        for key, rows in by.items()
    )


def test_sales_by_region(gold, orders):
    asked = """
        select order_month, shipping_country, sales_channel, sum(orders), sum(revenue_usd)
        from sales.mart_sales_by_region group by 1, 2, 3
    """
    by = groups(
        orders,
        lambda row: (
            month(row["order_date"]),
            row["shipping_country"] or "(none)",
            row["sales_channel"] or "(none)",
        ),
    )
    assert sorted(gold.query(asked)) == sorted(
        (*key, len(rows), total(rows, "revenue_usd")) for key, rows in by.items()
    )


def test_cohorts_and_who_comes_back(gold, orders):
    of_known = groups([row for row in orders if row["customer"] != UNKNOWN], lambda row: row["customer"][0])
    cohort = {who: month(min(row["order_date"] for row in rows)) for who, rows in of_known.items()}
    by = groups(
        [row for rows in of_known.values() for row in rows],
        lambda row: (
            cohort[row["customer"][0]],
            months_between(cohort[row["customer"][0]], row["order_date"]),
        ),
    )
    sizes = Counter(cohort.values())
    asked = """
        select cohort_month, months_since, cohort_customers, customers, orders, revenue_usd
        from sales.mart_sales_cohorts
    """
    assert sorted(gold.query(asked)) == sorted(
        (*key, sizes[key[0]], len(customers_of(rows)), len(rows), total(rows, "revenue_usd"))
        for key, rows in by.items()
    )


def months_between(first: Any, last: Any) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def test_who_orders_again(gold, orders):
    kept = [row for row in orders if not row["is_undone"] and row["customer"] != UNKNOWN]
    by_customer = groups(kept, lambda row: row["customer"][0])
    by_month = groups(
        [{"first": rows[0]["order_date"], "rows": rows} for rows in by_customer.values()],
        lambda each: month(each["first"]),
    )
    asked = "select first_order_month, customers, repeat_customers from sales.mart_sales_repeat_rate"
    assert sorted(gold.query(asked)) == sorted(
        (first, len(each), sum(len(one["rows"]) > 1 for one in each)) for first, each in by_month.items()
    )


def test_a_customer_and_all_that_is_known_of_it(gold, orders, sessions):
    by_orders = groups(orders, lambda row: row["customer"][0])
    by_sessions = groups(sessions, lambda row: row["customer"][0])
    payments = [row for row in gold.truth.payments() if not row["is_deleted"]]
    by_payments = groups(payments, lambda row: row["customer"][0])
    asked = """
        select customer_id, orders, last_order_date, revenue_usd, received_usd, sessions, last_seen_at
        from core.mart_customer_360 order by customer_id
    """
    live = sorted(who for who, held in gold.truth.customers.versions.items() if held[-1].is_current)
    assert gold.query(asked) == [
        (
            who,
            len(by_orders[who]),
            max((row["order_date"] for row in by_orders[who]), default=None),
            total(by_orders[who], "revenue_usd"),
            total(by_payments[who], "received_usd"),
            len(by_sessions[who]),
            max((row["ended_at"] for row in by_sessions[who]), default=None),
        )
        for who in live
    ]


def test_what_campaigns_cost_and_brought(gold, orders, sessions):
    ads = groups(gold.company.live("ad_performance"), lambda row: (row["platform"], row["campaign_id"]))
    brought = groups(
        [row | {"campaign": campaign_of(row, sessions)} for row in orders], lambda row: row["campaign"]
    )
    asked = """
        select platform, campaign_id, impressions, clicks, spend_usd, orders, revenue_usd
        from marketing.mart_marketing_campaigns
    """
    assert sorted(gold.query(asked)) == sorted(
        (
            *campaign,
            sum(row["impressions"] for row in rows),
            sum(row["clicks"] for row in rows),
            total(rows, "spend_usd"),
            len(brought[campaign]),
            total(brought[campaign], "revenue_usd"),
        )
        for campaign, rows in ads.items()
    )
    assert any(brought[campaign] for campaign in ads)


def campaign_of(order: Row, sessions: list[Row]) -> tuple[str, str] | None:
    if order["customer"] == UNKNOWN:
        return None
    before = [
        row
        for row in sessions
        if row["customer"][0] == order["customer"][0]
        and row["campaign"][0] != "(unknown)"
        and order["ordered_at"] - timedelta(days=30) < row["started_at"] <= order["ordered_at"]
    ]
    return max(before, key=lambda row: row["started_at"])["campaign"] if before else None


def test_marketing_by_day_is_the_ads_and_the_visits_of_the_day(gold, sessions):
    asked = """
        select day, platform, sum(clicks), sum(spend_usd), sum(sessions)
        from marketing.mart_marketing_by_day group by 1, 2
    """
    ads = groups(gold.company.live("ad_performance"), lambda row: (row["day"], row["platform"]))
    sent = [row for row in sessions if row["campaign"][0] != "(unknown)"]
    visits = groups(sent, lambda row: (row["session_date"], row["campaign"][0]))
    assert sorted(gold.query(asked)) == sorted(
        (*key, sum(row["clicks"] for row in ads[key]), total(ads[key], "spend_usd"), len(visits[key]))
        for key in {*ads, *visits}
    )


def test_how_far_users_come_in_the_apps_campaigns(gold):
    live = [row for row in gold.truth.progress() if not row["is_deleted"]]
    asked = "select campaign_id, task_id, users, completed from marketing.mart_marketing_app_campaigns"
    by = groups(live, lambda row: (row["campaign_id"], row["task_id"]))
    assert sorted(gold.query(asked)) == sorted(
        (*key, len(rows), sum(row["is_completed"] for row in rows)) for key, rows in by.items()
    )


def test_the_funnel(gold, sessions):
    asked = "select session_date, device_type, sessions, filled_cart, purchased from analytics.mart_analytics_funnel"
    by = groups(sessions, lambda row: (row["session_date"], row["device_type"]))
    assert sorted(gold.query(asked)) == sorted(
        (
            *key,
            len(rows),
            sum(any(row[name] for name in ("cart_additions", "checkouts", "purchases")) for row in rows),
            sum(row["purchases"] > 0 for row in rows),
        )
        for key, rows in by.items()
    )


def test_activity_of_day_week_and_month_after_days_that_changed_alone(gold, sessions):
    def active(last: Any, days: int) -> int:
        return len(
            {
                row["visitor_id"]
                for row in sessions
                if last - timedelta(days=days) < row["session_date"] <= last
            }
        )

    asked = """
        select activity_date, sessions, daily_visitors, weekly_visitors, monthly_visitors
        from analytics.mart_analytics_activity order by activity_date
    """
    held = gold.query(asked)
    assert held == [
        (
            day,
            sum(row["session_date"] == day for row in sessions),
            active(day, 1),
            active(day, 7),
            active(day, 30),
        )
        for day, *_ in held
    ]
    assert {row["session_date"] for row in sessions} <= {day for day, *_ in held}
    assert len(held) > 40


def test_which_visitors_come_back_in_later_weeks(gold, sessions):
    def week(row: Row) -> Any:
        return row["session_date"] - timedelta(days=row["session_date"].weekday())

    weeks = {
        who: {week(row) for row in rows}
        for who, rows in groups(sessions, lambda row: row["visitor_id"]).items()
    }
    counted = Counter((min(each), (later - min(each)).days // 7) for each in weeks.values() for later in each)
    asked = "select cohort_week, weeks_since, visitors from analytics.mart_analytics_retention"
    assert sorted(gold.query(asked)) == sorted((*key, number) for key, number in counted.items())


def test_stock_is_what_silver_holds_now(gold):
    asked = "select product_id, quantity_available, is_to_reorder, stock_value from analytics.mart_analytics_stock"
    assert sorted(gold.query(asked)) == sorted(
        (
            row["product_id"],
            row["quantity_available"],
            row["quantity_available"] <= row["reorder_point"],
            row["quantity_on_hand"] * row["unit_cost"],
        )
        for row in gold.company.live("products")
    )


def test_revenue_of_the_last_hour(gold, orders):
    seen = [row for row in orders if row["in_events"]]
    newest = max(row["ordered_at"] for row in seen).replace(second=0, microsecond=0)
    recent = [row for row in seen if row["ordered_at"] >= newest - timedelta(minutes=59)]
    asked = "select sum(orders), sum(revenue_usd) from analytics.mart_analytics_latest_revenue"
    assert gold.query(asked) == [(len(recent), total(recent, "revenue_usd"))]
