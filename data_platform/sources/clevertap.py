"""What is landed from CleverTap, in its own names. How it is read: connectors/clevertap."""

from datetime import timedelta

from data_platform.declarations import (
    DAILY,
    DATE,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    Column,
    Normalise,
    Personal,
    SourceTable,
    Window,
    days,
    is_email,
    not_ahead,
    years,
)

# Devices that were offline send their events days later.
BY_DAY = Window(day="day", restated=days(3))

CLEVERTAP_PROFILES = SourceTable(
    system="clevertap",
    name="clevertap_profiles",
    reads="profiles.json?event_name=App Launched",
    description="People who use the app, as CleverTap knows them; each is seen again on a day of use.",
    key=("identity",),
    load=BY_DAY,
    every=DAILY,
    owner="team:marketing",
    keep_for=years(3),
    restricted=True,
    columns=(
        Column("identity", STRING, required=True, personal=Personal.CUSTOMER),
        Column("name", STRING, personal=Personal.NAME, silver="full_name"),
        Column("email", STRING, personal=Personal.EMAIL, normalise=Normalise.LOWER, rule=is_email()),
        Column("phone", STRING, personal=Personal.PHONE, normalise=Normalise.PHONE),
        Column("profileData", JSON, personal=Personal.FREE_TEXT, description="Properties of our own."),
        Column("events", JSON, description="How often each event was seen, first and last."),
        Column("platformInfo", JSON, personal=Personal.DEVICE),
        Column("day", DATE, required=True, silver="seen_on", description="Until when this was asked for."),
    ),
)

CLEVERTAP_EVENTS = SourceTable(
    system="clevertap",
    name="clevertap_events",
    reads="events.json?event_name=App Launched&event_name=Product Viewed&event_name=Charged",
    description="What people did in the app: one row per person, event and second.",
    key=("profile.identity", "event", "ts"),
    load=BY_DAY,
    every=DAILY,
    owner="team:marketing",
    keep_for=years(3),
    restricted=True,
    columns=(
        Column("profile.identity", STRING, required=True, personal=Personal.CUSTOMER, silver="identity"),
        Column("event", STRING, required=True, silver="event_name"),
        Column("ts", INTEGER, required=True, description="yyyymmddhhmmss in the account's time zone."),
        Column(
            "occurred_at",
            TIMESTAMP,
            rule=not_ahead(timedelta(minutes=5)),
            description="The moment that ts says.",
        ),
        Column("day", DATE, required=True, silver="event_day"),
        Column("profile", JSON, personal=Personal.FREE_TEXT),
        Column("event_props", JSON, personal=Personal.FREE_TEXT),
        Column("session_props", JSON),
    ),
)

TABLES = (CLEVERTAP_PROFILES, CLEVERTAP_EVENTS)
