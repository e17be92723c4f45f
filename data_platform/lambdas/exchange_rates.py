"""The Lambda that lands a day's exchange rates: it asks the API, checks the answer and writes it as it came.

It is set up by exchange_rates.yaml beside it, and told by EXCHANGE_RATES_URL (an API that answers as
frankfurter.dev's `/v1/latest` does), EXCHANGE_RATES_BASE and LANDING_URI (s3://bucket/prefix). Each day has one key,
which is written once: a second event of a day, which EventBridge may send, changes nothing.
"""

import json
import os
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import boto3
from botocore.exceptions import ClientError

TRIES = 4
FIRST_WAIT = 1.0
LONGEST_WAIT = 20.0
TIMEOUT = 20.0
# Holidays and a weekend pass without rates; more than this is an API that stands still.
OLDEST = timedelta(days=7)


class RatesUnusable(Exception):
    """No rates were written. The message says what was expected and what came."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """One scheduled event of EventBridge: its time says which day it is."""
    day = datetime.fromisoformat(event["time"]).date()
    base = os.environ["EXCHANGE_RATES_BASE"]
    body = _asked(f"{os.environ['EXCHANGE_RATES_URL']}?{urlencode({'base': base})}")
    rates = _checked(body, base, day)
    bucket, key = _place(os.environ["LANDING_URI"], base, day)
    return {"key": key, "rates": rates, "written": _written_once(bucket, key, body)}


def _asked(url: str) -> bytes:
    """The API's answer; what passes by itself is waited out."""
    if not url.startswith(("https://", "http://")):
        raise RatesUnusable("EXCHANGE_RATES_URL is no address of a web API; set it to https://…")
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    for tried in range(1, TRIES + 1):
        pause = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tried - 1))
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - checked above
                return bytes(answer.read())
        except HTTPError as error:
            trouble = f"it answered {error.code}"
            if error.code != 429 and error.code < 500:
                break
            asked = error.headers.get("Retry-After", "")
            pause = min(LONGEST_WAIT, float(asked)) if asked.isdecimal() else pause
        except (URLError, OSError) as error:
            trouble = f"no whole answer came ({type(error).__name__})"
        if tried < TRIES:
            time.sleep(pause)
    raise RatesUnusable(
        f"the API of exchange rates gave none: asked {tried} times, the last time {trouble}. See whether "
        "EXCHANGE_RATES_URL and EXCHANGE_RATES_BASE are right and the API is well; the next event asks again"
    )


def _checked(body: bytes, base: str, day: date) -> int:
    """How many rates the answer holds, once it is known to be what the platform expects."""
    try:
        document = json.loads(body)
        said, published, rates = document["base"], date.fromisoformat(document["date"]), document["rates"]
    except (ValueError, TypeError, KeyError) as error:
        raise RatesUnusable(
            f"the API's answer is no document with base, date and rates ({type(error).__name__})"
        ) from None
    if said != base:
        raise RatesUnusable(
            f"rates for {base} were asked for, and the API answered with those for another base"
        )
    if not day - OLDEST <= published <= day + timedelta(days=1):
        raise RatesUnusable(
            f"on {day} the API's newest rates are those of {published}; it may have stood still"
        )
    if not isinstance(rates, dict) or not rates:
        raise RatesUnusable("the API's answer names no currency")
    if odd := sorted(str(name) for name, rate in rates.items() if not _is_rate(name, rate)):
        raise RatesUnusable(f"{len(odd)} of {len(rates)} rates are no positive number of a currency")
    return len(rates)


def _is_rate(currency: str, rate: object) -> bool:
    is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
    return is_number and rate > 0 and len(currency) == 3 and currency.isupper()  # type: ignore[operator]


def _place(landing: str, base: str, day: date) -> tuple[str, str]:
    scheme, _, place = landing.partition("://")
    bucket, _, below = place.strip("/").partition("/")
    if scheme != "s3" or not bucket:
        raise RatesUnusable("LANDING_URI is no bucket; set it to s3://bucket/prefix")
    return bucket, f"{below}/raw/api-data/exchange_rates/{day:%Y/%m/%d}/{base}.json".lstrip("/")


def _written_once(bucket: str, key: str, body: bytes) -> bool:
    """Whether this event wrote the day's object, which no later one does."""
    try:
        boto3.client("s3").put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":
            return False
        raise
    return True
