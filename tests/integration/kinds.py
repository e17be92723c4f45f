"""Forty values in order, of each kind that a table may be asked for by."""

from datetime import date, timedelta
from decimal import Decimal

FORTY_OF_EACH_KIND = (
    ("string", [f"it's {n:02d}\\" for n in range(40)]),
    ("bigint", list(range(-20, 20))),
    ("decimal(18,2)", [Decimal(n) / 4 for n in range(-20, 20)]),
    ("date", [date(2026, 1, 1) + timedelta(days=n) for n in range(40)]),
    ("double", [n / 3 for n in range(40)]),
)
