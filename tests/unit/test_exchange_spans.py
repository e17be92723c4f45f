"""From when to when a moved rate counts: up to the next day that its currency has one that tells dollars."""

import random
from datetime import date, timedelta

import pytest

from data_platform.silver.exchange import FOREVER, _spans

FIRST = date(2026, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def spans(moved, rates) -> dict[tuple[str, date], date]:
    return {(each["moved_currency"], each["from_day"]): each["to_day"] for each in _spans(moved, rates)}


RATES = [("EUR", day(number), currency) for number in (0, 1, 5) for currency in ("USD", "GBP")]


def test_a_currencys_rate_counts_until_its_next():
    assert spans([("GBP", day(0)), ("GBP", day(5))], RATES) == {
        ("GBP", day(0)): day(1),
        ("GBP", day(5)): FOREVER,
    }


def test_the_dollars_rate_is_one_of_every_currency():
    moved = spans([("USD", day(1))], RATES)
    assert moved == {(currency, day(1)): day(5) for currency in ("EUR", "GBP", "USD")}


def test_a_day_on_which_the_base_has_no_dollar_ends_nothing():
    without = [told for told in RATES if told[1:] != (day(1), "USD")]
    assert spans([("GBP", day(0))], without) == {("GBP", day(0)): day(5)}


def test_a_currency_that_nobody_publishes_counts_forever():
    assert spans([("CHF", day(3))], RATES) == {("CHF", day(3)): FOREVER}


@pytest.mark.parametrize("seed", range(20))
def test_of_any_rates_it_is_the_first_day_after(seed):
    chance = random.Random(seed)  # noqa: S311
    rates = [
        (base, day(number), currency)
        for base in ("EUR", "JPY")
        for number in range(20)
        for currency in ("USD", "GBP")
        if chance.random() < 0.4
    ]
    tells = {(base, at) for base, at, currency in rates if currency == "USD"}
    held = {(of, at) for base, at, currency in rates if (base, at) in tells for of in (base, currency)}
    moved = [("GBP", day(chance.randrange(20))) for _ in range(5)]
    assert spans(moved, rates) == {
        (currency, at): min((each for of, each in held if of == currency and each > at), default=FOREVER)
        for currency, at in moved
    }
