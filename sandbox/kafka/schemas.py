"""The Avro schemas that the company's producers write with: each topic's first, and its second, which adds a field."""

from typing import Any

from sandbox.world.events import NEW_IN_SECOND_SCHEMA, Topic

Schema = dict[str, Any]

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
TEXT, NUMBER, TRUTH, FRACTION = "string", "long", "boolean", "double"
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "product_id", "type": TEXT},
        {"name": "quantity", "type": "int"},
        {"name": "unit_price", "type": MONEY},
    ],
}
# What a field may hold beside null; those named first must be there.
ORDER_EVENT = {
    "event_id": TEXT,
    "event_type": TEXT,
    "event_time": MILLIS,
    "order_id": TEXT,
    "customer_id": TEXT,
    "items": {"type": "array", "items": ITEM},
    "amount": MONEY,
    "currency": TEXT,
    "payment_method": TEXT,
    "payment_id": NUMBER,
    "coupon_code": TEXT,
    "shipping_address": TEXT,
    "shipping_postal_code": TEXT,
    "shipping_country": TEXT,
    "warehouse_id": TEXT,
    "carrier": TEXT,
    "tracking_number": TEXT,
    "is_gift": TRUTH,
    "sales_channel": TEXT,
}
CARD_TRANSACTION = {
    "event_id": TEXT,
    "transaction_id": TEXT,
    "event_time": MICROS,
    "processed_at": MICROS,
    "transaction_type": {"type": "enum", "name": "TransactionType",
                         "symbols": ["purchase", "withdrawal", "refund", "reversal", "verification"]},
    "original_transaction_id": TEXT,
    "card_number": TEXT,
    "card_scheme": TEXT,
    "card_type": TEXT,
    "card_expires": TEXT,
    "issuer_country": TEXT,
    "customer_id": TEXT,
    "order_id": TEXT,
    "amount": MONEY,
    "currency": TEXT,
    "billing_amount": {**MONEY, "precision": 12},
    "billing_currency": TEXT,
    "merchant_id": TEXT,
    "merchant_name": TEXT,
    "merchant_category_code": TEXT,
    "merchant_country": TEXT,
    "merchant_city": TEXT,
    "terminal_id": TEXT,
    "channel": TEXT,
    "entry_mode": TEXT,
    "is_card_present": TRUTH,
    "is_pin_verified": TRUTH,
    "three_d_secure": TEXT,
    "address_check": TEXT,
    "code_check": TEXT,
    "status": TEXT,
    "decline_reason": TEXT,
    "device_id": TEXT,
    "latitude": FRACTION,
    "longitude": FRACTION,
    "ip_address": TEXT,
    "wallet": TEXT,
    "processor_score": FRACTION,
}  # fmt: skip
FIELDS: dict[Topic, dict[str, Any]] = {"order_events": ORDER_EVENT, "card_transactions": CARD_TRANSACTION}
NEVER_NULL = ("event_id", "event_time", "items", "transaction_type", "card_number")
# What a reader takes for the new field of a message that was written without it.
DEFAULTS: dict[Topic, str | None] = {"order_events": "web", "card_transactions": None}


def schema(topic: Topic, version: int) -> Schema:
    """A writer's schema; the second version has one field more, with a default."""
    new = NEW_IN_SECOND_SCHEMA[topic]
    names = [name for name in FIELDS[topic] if name != new] + ([new] if version == 2 else [])
    fields = [_field(name, FIELDS[topic][name], DEFAULTS[topic] if name == new else None) for name in names]
    return {"type": "record", "name": topic, "namespace": "company.events", "fields": fields}


def _field(name: str, kind: Any, default: str | None) -> dict[str, Any]:
    if name in NEVER_NULL:
        return {"name": name, "type": kind}
    # A default is of the first of the kinds that a field may hold.
    return {"name": name, "type": [kind, "null"] if default else ["null", kind], "default": default}
