"""A stand-in for a public API of exchange rates (as frankfurter.dev answers `/latest?base=USD`)."""

from collections.abc import Mapping
from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

from sandbox.landing.answering import Answer, AnsweringServer, as_json

_USUAL = {"AUD": 1.52, "CAD": 1.37, "CHF": 0.88, "EUR": 0.92, "GBP": 0.79, "INR": 83.4, "JPY": 151.2}


def rates_on(day: date) -> Mapping[str, float]:
    """What a US dollar costs on a day: the same each time it is asked, and a little else each day."""
    return {
        currency: round(rate * (1 + ((day.toordinal() * 7 + place * 13) % 21 - 10) / 1000), 5)
        for place, (currency, rate) in enumerate(_USUAL.items())
    }


def published(day: date) -> date:
    """The day whose rates are the newest: none are published at weekends."""
    return day - timedelta(days=max(0, day.weekday() - 4))


class RatesServer(AnsweringServer):
    """Answers with the rates of `today`; `broken` are answers to give before that, in their order."""

    def __init__(self, today: date) -> None:
        super().__init__()
        self.today = today
        self.broken: list[Answer] = []
        self.asked = 0

    def settings(self) -> dict[str, str]:
        return {"EXCHANGE_RATES_URL": f"{self.url}/latest"}

    def answer(self, method: str, path: str, body: bytes) -> Answer:  # noqa: ARG002
        self.asked += 1
        if self.broken:
            return self.broken.pop(0)
        base = parse_qs(urlsplit(path).query).get("base", [""])[0]
        if base != "USD":
            return as_json(404, {"message": "not found"})
        day = published(self.today)
        return as_json(
            200, {"amount": 1.0, "base": base, "date": day.isoformat(), "rates": dict(rates_on(day))}
        )
