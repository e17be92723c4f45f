"""Dimensions and facts after twenty rounds of change by chance, against a truth made without dbt."""

from tests.integration.gold.conftest import INCREMENTAL
from tests.integration.gold.truth import UNKNOWN

CUSTOMER = "customers.customer_id, customers.version_number"
PRODUCT = "products.product_id, products.version_number"
OF_CUSTOMERS = "inner join core.dim_customers as customers using (customer_key)"
OF_PRODUCTS = "inner join core.dim_products as products using (product_key)"


def versions(gold, table: str, record: str, attributes: str) -> list[tuple]:
    return gold.query(
        f"select {record}, version_number, {attributes}, valid_from, valid_to, is_current "
        f"from core.{table} where version_number > 0 order by all"
    )


def test_a_record_has_a_version_for_each_of_its_states_that_a_build_saw(gold):
    truth = gold.truth
    assert versions(gold, "dim_customers", "customer_id", "email, country, tier") == truth.customers.rows()
    assert versions(gold, "dim_products", "product_id", "category, price") == sorted(
        truth.products.rows(), key=lambda row: row[:2]
    )
    assert versions(gold, "dim_accounts", "account_id", "segment") == truth.accounts.rows()
    assert any(len(held) > 2 for held in truth.customers.versions.values())
    assert any(not held[-1].is_current for held in truth.customers.versions.values())


def test_orders_point_to_customer_and_product_as_they_were(gold):
    asked = f"""
        select order_id, {CUSTOMER}, {PRODUCT}, fct.customer_id, ordered_at, revenue_usd, is_undone, fct.is_deleted
        from sales.fct_orders as fct {OF_CUSTOMERS} {OF_PRODUCTS} order by order_id
    """
    orders = gold.truth.orders()
    assert gold.query(asked) == sorted(
        (
            row["order_id"],
            *row["customer"],
            *row["product"],
            None if row["customer"] == UNKNOWN else row["customer"][0],
            row["ordered_at"],
            row["revenue_usd"],
            row["is_undone"],
            row["is_deleted"],
        )
        for row in orders
    )
    # Both kinds are there, or the test would say little.
    assert {row["customer"] == UNKNOWN for row in orders} == {True, False}
    assert any(row["customer"][1] > 1 for row in orders)


def test_payments_point_to_the_customer_as_it_was(gold):
    asked = f"""
        select payment_id, {CUSTOMER}, received_usd, fct.is_deleted
        from sales.fct_payments as fct {OF_CUSTOMERS} order by payment_id
    """
    assert gold.query(asked) == sorted(
        (row["payment_id"], *row["customer"], row["received_usd"], row["is_deleted"])
        for row in gold.truth.payments()
    )


def test_bookings_are_those_of_their_order_with_what_came_of_comparing_them(gold):
    asked = f"""
        select transaction_id, {CUSTOMER}, {PRODUCT}, reconciliation_state, debit, credit, fct.is_deleted
        from sales.fct_financial_transactions as fct {OF_CUSTOMERS} {OF_PRODUCTS} order by transaction_id
    """
    assert gold.query(asked) == sorted(
        (
            row["transaction_id"],
            *row["customer"],
            *row["product"],
            row["state"],
            row["debit"],
            row["credit"],
            row["is_deleted"],
        )
        for row in gold.truth.transactions()
    )


def test_inventory_is_what_the_last_update_of_the_day_said(gold):
    asked = f"""
        select fct.product_id, warehouse_id, level_date, {PRODUCT}, quantity_on_hand, quantity_change, updates,
            is_deleted
        from sales.fct_inventory_levels as fct {OF_PRODUCTS} order by 1, 2, 3
    """
    assert gold.query(asked) == sorted(
        (
            row["product_id"],
            row["warehouse_id"],
            row["level_date"],
            *row["product"],
            row["quantity_on_hand"],
            row["quantity_change"],
            row["updates"],
            row["is_deleted"],
        )
        for row in gold.truth.levels()
    )


def test_sessions_know_their_customer_and_the_campaign_that_sent_them(gold):
    asked = f"""
        select visitor_id, started_at, {CUSTOMER}, campaigns.platform, campaigns.campaign_id, fct.is_deleted
        from analytics.fct_user_sessions as fct {OF_CUSTOMERS}
        inner join core.dim_campaigns as campaigns using (campaign_key) order by 1, 2
    """
    sessions = gold.truth.sessions()
    assert gold.query(asked) == sorted(
        (row["visitor_id"], row["started_at"], *row["customer"], *row["campaign"], row["is_deleted"])
        for row in sessions
    )
    assert {row["campaign"][0] for row in sessions} == {"facebook", "google", "(unknown)"}


def test_events_know_their_session_though_others_came_late(gold):
    asked = f"""
        select event_id, sessions.started_at, {CUSTOMER}, {PRODUCT}, fct.is_deleted
        from analytics.fct_user_events as fct {OF_CUSTOMERS} {OF_PRODUCTS}
        left join analytics.fct_user_sessions as sessions using (session_key) order by event_id
    """
    events = gold.truth.events()
    assert gold.query(asked) == sorted(
        (row["event_id"], row["session"], *row["customer"], *row["product"], row["is_deleted"])
        for row in events
    )
    assert all(row["session"] for row in events if not row["is_deleted"])


def test_campaigns_are_told_apart_by_platform(gold):
    held = gold.query("select platform, campaign_id from core.dim_campaigns where platform <> '(unknown)'")
    assert sorted(held) == sorted(gold.truth.campaigns())


def test_ads_are_as_the_platform_says_today(gold):
    asked = """
        select fct.platform, ad_id, day, fct.campaign_id, impressions, clicks, spend_usd, is_deleted,
            campaigns.campaign_id
        from marketing.fct_ad_performance as fct
        inner join core.dim_campaigns as campaigns using (campaign_key) order by 1, 2, 3
    """
    assert gold.query(asked) == sorted(
        (
            *(row[name] for name in ("platform", "ad_id", "day", "campaign_id", "impressions", "clicks")),
            row["spend_usd"],
            row["is_deleted"],
            "(unknown)" if row["is_deleted"] else row["campaign_id"],
        )
        for row in gold.company.rows["ad_performance"].values()
    )


def test_progress_knows_its_campaign_and_customer_though_they_came_later(gold):
    asked = f"""
        select user_id, fct.campaign_id, task_id, {CUSTOMER}, platform = 'app', is_completed, fct.is_deleted
        from marketing.fct_campaign_progress as fct {OF_CUSTOMERS}
        inner join core.dim_campaigns using (campaign_key) order by 1, 2, 3
    """
    assert gold.query(asked) == sorted(
        (
            *(row[name] for name in ("user_id", "campaign_id", "task_id")),
            *row["customer"],
            row["knows_campaign"],
            row["is_completed"],
            row["is_deleted"],
        )
        for row in gold.truth.progress()
    )


def test_deals_have_their_dollars_by_todays_rates(gold):
    asked = """
        select opportunity_id, accounts.account_id, version_number, amount_usd, is_deleted
        from crm.fct_opportunities as fct inner join core.dim_accounts as accounts using (account_key)
        order by opportunity_id
    """
    assert gold.query(asked) == sorted(
        (row["opportunity_id"], *row["account"], row["amount_usd"], row["is_deleted"])
        for row in gold.truth.deals()
    )


def test_the_calendar_has_every_day_once(gold):
    ((days, first, last, mondays),) = gold.query(
        "select count(distinct date_day), min(date_day)::varchar, max(date_day)::varchar, "
        "count(*) filter (where day_name = 'Monday' and dayofweek(date_day) = 1) from core.dim_dates"
    )
    assert (days, first, last) == (18_263, "2000-01-01", "2049-12-31")
    assert mondays == 2_609


def test_a_build_on_the_same_silver_changes_nothing_that_is_kept_up(gold):
    now = gold.content()
    kept_up = {name for name in gold.before_last if ".dim_" in name or ".fct_" in name or "activity" in name}
    assert {name for name in kept_up if gold.before_last[name] != now[name]} == set()
    assert len(kept_up) == 17


def test_a_full_refresh_gives_what_twenty_rounds_of_change_gave(gold):
    before = gold.content()
    gold.build("--full-refresh", "--select", *INCREMENTAL)
    after = gold.content()
    assert {name for name in before if before[name] != after[name]} == set()


def test_the_unit_tests_of_the_models_pass(gold):
    # Those of the CRM have run beside its own tests.
    crm = ("path:models/marts/crm", "dim_accounts", "dim_contacts")
    gold.build("--select", "test_type:unit", "--exclude", *crm, command="test")
