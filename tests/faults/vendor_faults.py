"""What vendors' APIs do to whoever reads them: they throttle, let tokens expire, rename fields, retire versions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from sandbox.vendor import Answer, Instead
from tests.faults.disturbed import Case, Disturbed, Trouble
from tests.faults.vendor_sources import AppEvents, FacebookAds, GoogleAdsOfOne

SEARCH, REPORT, EVENTS = "POST *searchStream", "GET */insights", "GET /1/events.json"


def waited_out(plant: Callable[[Any], object]) -> Case:
    """Trouble that passes, in the first load and in a later one."""

    def case(source: Any, disturbed: Disturbed) -> None:
        for _ in range(2):
            plant(source)
            disturbed.load()
            disturbed.change()

    return case


def refused(kind: type[SourceError], setting: str, wrong: Callable[[Any], str]) -> Case:
    """A setting that the vendor does not take, put right after each of two loads."""

    def case(source: Any, disturbed: Disturbed) -> None:
        for _ in range(2):
            disturbed.fails(kind, setting, None, 0, **{setting.lower(): wrong(source)})
            disturbed.load()
            disturbed.change()

    return case


def ends_inside(kind: type[SourceError], says: str, begin: Callable[[Any], Callable[[], None]]) -> Case:
    """Trouble that begins when a batch has landed, and ends when somebody has mended what `begin` returns."""

    def case(source: Any, disturbed: Disturbed) -> None:
        mend: list[Callable[[], None]] = []
        for _ in range(2):
            disturbed.fails(kind, says, lambda: mend.append(begin(source)))
            mend.pop()()
            disturbed.load()
            disturbed.change()

    return case


def changes(attribute: str, value: Callable[[Any], Any]) -> Callable[[Any], Callable[[], None]]:
    """Another value of the server's, until it is mended."""

    def begin(source: Any) -> Callable[[], None]:
        before = getattr(source.server, attribute)
        setattr(source.server, attribute, value(before))
        return lambda: setattr(source.server, attribute, before)

    return begin


def without(name: str) -> Callable[[Any], Any]:
    return lambda fields: {field: value for field, value in fields.items() if field != name}


def revoke(google: GoogleAdsOfOne) -> Callable[[], None]:
    """No token holds any more, nor does the refresh token that new ones are had by."""
    google.server.tokens.clear()
    before = google.server.secrets
    google.server.secrets = before | {"refresh": "another"}
    return lambda: setattr(google.server, "secrets", before)


def throttles_long(facebook: FacebookAds, disturbed: Disturbed) -> None:
    """Longer than a run waits: it ends, and the next goes on."""
    for _ in range(2):
        facebook.server.refuse(80000, REPORT, times=3, after=3, usage=100)
        disturbed.fails(QuotaReached, "run again later", window_patience=timedelta(seconds=1))
        # What is left of the misbehaviour is met with patience.
        disturbed.load()
        disturbed.change()


def renames(app: AppEvents, disturbed: Disturbed) -> None:
    """From a day on, the API gives the session's properties under another name; they wait in _rescued."""
    disturbed.load()
    app.rename()
    disturbed.change()
    told = {(drift.column, drift.kind) for drift in disturbed.load().drift}
    if told != {("sessionProps", "new"), ("session_props", "lost")}:
        raise AssertionError(f"drift is told as {told}")


def answers(question: str, answer: Answer, times: int = 1, after: int = 2) -> Callable[[Any], object]:
    return lambda source: source.server.server.tell(Instead(question, answer, times=times, after=after))


def breaks(question: str) -> Callable[[Any], object]:
    """A connection that is cut, an answer that ends early and one that is no JSON."""

    def plant(source: Any) -> None:
        for way in ("cut", "truncate", "garble"):
            source.server.server.tell(Instead(question, way=way, after=2))

    return plant


DOWN = Answer(status=503)
EXPIRED = Answer(b'[{"error":{"code":401}}]', 401)

OF_FACEBOOK = (
    Trouble("throttled", waited_out(lambda ads: ads.server.refuse(17, "*insights", times=2, after=3))),
    Trouble("throttled for longer than a run waits", throttles_long),
    Trouble("an outage", waited_out(answers("*", DOWN, times=2))),
    Trouble("connections and pages that break", waited_out(breaks(REPORT))),
    Trouble("a report that fails", waited_out(lambda ads: setattr(ads.server, "failing_reports", 2))),
    Trouble(
        "the token expires in mid-read",
        ends_inside(CredentialsRefused, "FACEBOOK_ADS_ACCESS_TOKEN", changes("token", lambda _: "another")),
    ),
    Trouble(
        "a field is not served any more",
        ends_inside(SourceError, "reach is not valid", changes("fields", without("reach"))),
    ),
    Trouble(
        "a retired version",
        refused(SourceError, "FACEBOOK_ADS_BASE_URL", lambda ads: f"{ads.server.server.url}/v2.0"),
    ),
    Trouble(
        "another's account",
        refused(CredentialsRefused, "FACEBOOK_ADS_ACCOUNT_ID", lambda _: "999"),
    ),
)
OF_GOOGLE = (
    Trouble(
        "throttled",
        waited_out(
            lambda ads: ads.server.refuse(
                "quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED", 429, "RESOURCE_EXHAUSTED", after=2
            )
        ),
    ),
    Trouble("an outage", waited_out(answers("*", DOWN, times=2))),
    Trouble("streams that break", waited_out(breaks(SEARCH))),
    Trouble(
        "a stream that ends in an error",
        waited_out(lambda ads: ads.server.break_off("internalError", "TRANSIENT_ERROR", after=2)),
    ),
    Trouble("the token expires in mid-read", waited_out(answers(SEARCH, EXPIRED))),
    Trouble(
        "the login is revoked in mid-read",
        ends_inside(CredentialsRefused, "GOOGLE_ADS_REFRESH_TOKEN", revoke),
    ),
    Trouble(
        "a field is not served any more",
        ends_inside(SourceError, "'ad_group_ad.status'", changes("fields", without("ad_group_ad.status"))),
    ),
    Trouble(
        "a retired version",
        refused(SourceError, "GOOGLE_ADS_BASE_URL", lambda ads: f"{ads.server.server.url}/v2"),
    ),
    Trouble(
        "another's account",
        refused(CredentialsRefused, "GOOGLE_ADS_CUSTOMER_ID", lambda _: "123-456-7890"),
    ),
)
OF_CLEVERTAP = (
    Trouble("throttled", waited_out(lambda app: app.server.refuse(429, times=3, after=2))),
    Trouble("an outage", waited_out(answers("*", DOWN, times=2))),
    Trouble("connections and pages that break", waited_out(breaks(EVENTS))),
    Trouble("a cursor that runs out", waited_out(lambda app: app.server.refuse(400, EVENTS, after=2))),
    Trouble(
        "the passcode is changed in mid-read",
        ends_inside(CredentialsRefused, "CLEVERTAP_PASSCODE", changes("passcode", lambda _: "another")),
    ),
    Trouble("a field is renamed", renames),
    Trouble(
        "a retired version",
        refused(SourceError, "CLEVERTAP_BASE_URL", lambda app: f"{app.server.server.url}/retired"),
    ),
    Trouble(
        "another's account",
        refused(CredentialsRefused, "CLEVERTAP_ACCOUNT_ID", lambda _: "OTHER"),
    ),
)
