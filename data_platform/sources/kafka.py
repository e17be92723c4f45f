"""What is landed from the company's Kafka topics, in the events' own names. How it is read: connectors/kafka."""

from datetime import date, timedelta

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DOUBLE,
    ERROR,
    INTEGER,
    JSON,
    ON_CHANGE,
    STRING,
    TIMESTAMP,
    Column,
    Concealed,
    Lag,
    Mask,
    Messages,
    Normalise,
    Personal,
    SourceTable,
    Stream,
    at_least,
    between,
    holds,
    not_ahead,
    not_before,
    not_null,
    one_of,
    years,
)

# A message's key is its event, so that a message without a value takes that event back.
BY_OFFSETS = Stream(
    order="offset", messages=Messages(key="event_id"), lag=Lag(changes=1_000, age=timedelta(minutes=1))
)
# Whoever follows cards can't wait for a thousand of them.
AT_ONCE = Stream(
    order="offset", messages=Messages(key="event_id"), lag=Lag(changes=100, age=timedelta(seconds=10))
)

MONEY = DECIMAL(18, 2)
EVENT_ID = Column("event_id", STRING, required=True)
EVENT_TIME = Column(
    "event_time",
    TIMESTAMP,
    rule=(not_null(), not_ahead(timedelta(minutes=5)), not_before(date(2000, 1, 1))),
    description="When it happened, by the clock of whoever saw it; messages come late and out of order.",
)
CURRENCY = Column("currency", STRING, normalise=Normalise.UPPER, rule=one_of("EUR", "USD", "GBP", "JPY"))
# Where a device is to a few metres, and its address in the network.
WHEREABOUTS = (
    Column("latitude", DOUBLE, personal=Personal.LOCATION, rule=between(-90, 90)),
    Column("longitude", DOUBLE, personal=Personal.LOCATION, rule=between(-180, 180)),
    Column("ip_address", STRING, personal=Personal.IP),
)

USER_EVENTS = SourceTable(
    system="kafka",
    name="user_events",
    reads="user_events",
    description="What visitors do on the website and in the app, one event each.",
    key=("event_id",),
    lies_by="event_time",
    load=BY_OFFSETS,
    every=ON_CHANGE,
    owner="team:marketing",
    keep_for=years(3),
    restricted=True,
    columns=(
        EVENT_ID,
        Column(
            "event_type",
            STRING,
            rule=(
                not_null(),
                one_of(
                    "page_view",
                    "product_view",
                    "search",
                    "add_to_cart",
                    "remove_from_cart",
                    "checkout_started",
                    "purchase",
                    "sign_up",
                    "login",
                    "logout",
                ),
            ),
        ),
        EVENT_TIME,
        Column("received_at", TIMESTAMP, description="When our collector took it in."),
        Column("user_id", STRING, personal=Personal.USER, description="Null until the visitor logs in."),
        Column("anonymous_id", STRING, personal=Personal.DEVICE, description="The browser's cookie."),
        Column(
            "session_id",
            STRING,
            rule=not_null(),
            description="As the front end counts sessions; a new one after 30 minutes of silence.",
        ),
        Column("sequence", INTEGER, rule=at_least(1), description="The event's place in its session."),
        Column("device_id", STRING, personal=Personal.DEVICE),
        Column("device_type", STRING, rule=one_of("desktop", "mobile", "tablet")),
        Column("operating_system", STRING),
        Column("browser", STRING),
        Column("app_version", STRING),
        Column("user_agent", STRING, personal=Personal.DEVICE),
        Column("page_url", STRING, personal=Personal.FREE_TEXT),
        Column("page_title", STRING),
        Column("referrer", STRING, personal=Personal.FREE_TEXT),
        Column("search_terms", STRING, personal=Personal.FREE_TEXT),
        Column("product_id", STRING),
        Column("order_id", STRING),
        Column("quantity", INTEGER, rule=at_least(0)),
        Column("value", MONEY, sensitive=True, rule=at_least(0)),
        CURRENCY,
        Column("country", STRING, normalise=Normalise.UPPER),
        Column("city", STRING),
        *WHEREABOUTS,
        Column("language", STRING),
        Column("utm_source", STRING),
        Column("utm_medium", STRING),
        Column("utm_campaign", STRING),
        Column("is_bot", BOOLEAN, description="What our collector takes for a crawler."),
        Column(
            "properties", JSON, personal=Personal.FREE_TEXT, description="What this kind of event has alone."
        ),
    ),
    rules=(
        holds(
            "received_after_it_happened",
            "{received_at} >= {event_time} - make_dt_interval(0, 0, 5, 0)",
            "it is received after it happens",
        ),
    ),
)

ORDER_EVENTS = SourceTable(
    system="kafka",
    name="order_events",
    reads="order_events",
    description="How each order of the shop comes along, one event a step.",
    key=("event_id",),
    lies_by="event_time",
    load=BY_OFFSETS,
    every=ON_CHANGE,
    owner="team:sales",
    keep_for=years(7),
    columns=(
        EVENT_ID,
        Column(
            "event_type",
            STRING,
            rule=(
                not_null(),
                one_of("placed", "paid", "packed", "shipped", "delivered", "cancelled", "returned"),
            ),
        ),
        EVENT_TIME,
        Column("order_id", STRING, rule=not_null()),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, rule=not_null()),
        Column("items", JSON, sensitive=True, description="Products, their numbers and what one costs."),
        Column("amount", MONEY, sensitive=True, rule=at_least(0.01)),
        CURRENCY,
        Column("payment_method", STRING, rule=one_of("card", "transfer", "wallet", "invoice")),
        Column("payment_id", INTEGER),
        Column("coupon_code", STRING),
        Column("shipping_address", STRING, personal=Personal.ADDRESS),
        Column("shipping_postal_code", STRING, personal=Personal.ADDRESS),
        Column("shipping_country", STRING, normalise=Normalise.UPPER),
        Column("warehouse_id", STRING),
        Column("carrier", STRING),
        Column("tracking_number", STRING, personal=Personal.FREE_TEXT),
        Column("is_gift", BOOLEAN),
        Column("sales_channel", STRING, rule=one_of("web", "app", "phone", "store")),
    ),
)

INVENTORY_UPDATES = SourceTable(
    system="kafka",
    name="inventory_updates",
    reads="inventory_updates",
    description="Each change of what a warehouse holds of a product.",
    key=("event_id",),
    lies_by="event_time",
    load=BY_OFFSETS,
    every=ON_CHANGE,
    owner="team:logistics",
    keep_for=years(3),
    columns=(
        EVENT_ID,
        Column(
            "reason",
            STRING,
            rule=(
                not_null(),
                one_of("receipt", "sale", "return", "transfer_in", "transfer_out", "adjustment", "stocktake"),
            ),
        ),
        EVENT_TIME,
        Column("product_id", STRING, rule=not_null()),
        Column("category", STRING, rule=one_of("Books", "Garden", "Kitchen", "Toys", "Children's wear")),
        Column("warehouse_id", STRING, rule=not_null()),
        Column("bin", STRING, description="Where in the warehouse it lies."),
        Column("quantity_change", INTEGER, rule=not_null()),
        Column("quantity_on_hand", INTEGER, rule=at_least(0, ERROR)),
        Column("quantity_reserved", INTEGER, rule=at_least(0)),
        Column("reorder_point", INTEGER),
        Column("unit_cost", MONEY, sensitive=True, rule=at_least(0)),
        CURRENCY,
        Column("supplier_id", STRING),
        Column("order_id", STRING),
        Column("lot", STRING),
        Column("expires_on", DATE),
        Column("counted_by", STRING, personal=Personal.USER),
        Column("is_final", BOOLEAN, description="False where a count may still be corrected."),
    ),
)

CARD_TRANSACTIONS = SourceTable(
    system="kafka",
    name="card_transactions",
    reads="card_transactions",
    description="Each use of a payment card, as the processor reports it: approved, declined or reversed.",
    key=("event_id",),
    lies_by="event_time",
    load=AT_ONCE,
    every=ON_CHANGE,
    owner="team:fraud",
    keep_for=years(10),
    restricted=True,
    columns=(
        EVENT_ID,
        Column("transaction_id", STRING, rule=not_null()),
        Column("event_time", TIMESTAMP, rule=EVENT_TIME.rule, description="When the terminal asked."),
        Column("processed_at", TIMESTAMP, description="When the processor decided."),
        Column(
            "transaction_type",
            STRING,
            rule=one_of("purchase", "withdrawal", "refund", "reversal", "verification"),
        ),
        Column("original_transaction_id", STRING, description="What a refund or reversal takes back."),
        Column(
            "card_token",
            STRING,
            personal=Personal.CARD,
            mask=Mask.TOKEN,
            lands=Concealed("card_number", Mask.TOKEN),
            rule=not_null(),
        ),
        Column(
            "card_last_four", STRING, personal=Personal.CARD, lands=Concealed("card_number", Mask.LAST_FOUR)
        ),
        Column("card_scheme", STRING, rule=one_of("visa", "mastercard", "amex")),
        Column("card_type", STRING, rule=one_of("debit", "credit", "prepaid")),
        Column("card_expires", STRING, personal=Personal.CARD, mask=Mask.REDACTED),
        Column("issuer_country", STRING, normalise=Normalise.UPPER),
        Column("customer_id", STRING, personal=Personal.CUSTOMER, rule=not_null()),
        Column("order_id", STRING),
        Column("amount", MONEY, sensitive=True, rule=(not_null(), at_least(0))),
        CURRENCY,
        Column("billing_amount", MONEY, sensitive=True, description="In the card's own currency."),
        Column("billing_currency", STRING, normalise=Normalise.UPPER),
        Column("merchant_id", STRING),
        Column("merchant_name", STRING),
        Column("merchant_category_code", STRING, description="Four digits of ISO 18245."),
        Column("merchant_country", STRING, normalise=Normalise.UPPER),
        Column("merchant_city", STRING),
        Column("terminal_id", STRING),
        Column("channel", STRING, rule=one_of("pos", "online", "atm", "phone", "recurring")),
        Column("entry_mode", STRING, rule=one_of("chip", "contactless", "magstripe", "manual", "stored")),
        Column("is_card_present", BOOLEAN),
        Column("is_pin_verified", BOOLEAN),
        Column("three_d_secure", STRING, rule=one_of("authenticated", "attempted", "failed", "none")),
        Column("address_check", STRING, description="The processor's AVS result."),
        Column("code_check", STRING, description="The processor's CVV result, never the code."),
        Column("status", STRING, rule=one_of("approved", "declined", "reversed")),
        Column("decline_reason", STRING),
        Column("device_id", STRING, personal=Personal.DEVICE),
        *WHEREABOUTS,
        Column("wallet", STRING, description="The phone's, where one was used."),
        Column("processor_score", DOUBLE, description="The processor's own guess of risk, from 0 to 1."),
    ),
)

TABLES = (USER_EVENTS, ORDER_EVENTS, INVENTORY_UPDATES, CARD_TRANSACTIONS)
