"""What names, places and texts the company's records are drawn from: plain data."""

import re
import unicodedata
from decimal import Decimal


def _listed(words: str) -> list[str]:
    return words.split()


FIRST_NAMES = _listed(
    "Amara Anna Ben Carlos Chloé Daniel Diego Elena Emma Fatima Femi Georg Grace Hana Hugo Ines Isaac "
    "Ivan Jana Jonas Julia Kenji Lars Leila Liam Lucía Łukasz Maja Marco Mei Mohamed Nadia Ngozi Nils "
    "Nora Olga Omar Paula Priya Quentin Rafael Rosa Ruth Samir Sean Sofia Søren Tariq Theo Uma Vera "
    "Víctor Wei Xavier Yara Yusuf Zoë"
)
LAST_NAMES = _listed(
    "Abara Adeyemi Andersen Bauer Becker Bianchi Brown Castro Chen Clarke Costa Diaz Dubois Duarte "
    "Eriksen Evans Fischer Fontaine Garcia Gomez Greene Haddad Hansen Hoffmann Huang Ibrahim Ivanova "
    "Jansen Johnson Jones Kaya Keller Khan Kim Kowalski Laurent Lee Lindqvist López Marino Mbeki Moreau "
    "Müller Nakamura Nguyen Novak O'Brien Okafor Olsen Patel Pereira Petrov Quinn Ramos Ricci Rossi Sato "
    "Schmidt Silva Singh Smith Suzuki Tanaka Taylor Torres Usman Vargas Virtanen Wagner Weber Williams "
    "Wong Yamada Yilmaz Young Zhang Zimmermann"
)

COMPANY_WORDS = _listed(
    "Aldgate Amber Anchor Arbor Beacon Birch Blue Bright Cedar Cobalt Copper Crest Delta Ember Falcon "
    "Fjord Garnet Granite Harbour Hazel Indigo Ivory Juniper Keystone Lantern Linden Maple Meridian "
    "Northern Oak Onyx Orchard Pioneer Quarry River Saffron Silver Summit Tidal Umber Vantage Willow"
)
COMPANY_TRADES = _listed(
    "Analytics Bakery Brewing Chemicals Clinics Components Consulting Design Energy Engineering Foods "
    "Freight Furniture Glass Hotels Insurance Labs Logistics Machines Media Networks Optics Paper Pharma "
    "Plastics Press Robotics Shipping Software Steel Studios Textiles Tools Travel Water"
)
COMPANY_FORMS = ("Ltd", "GmbH", "Inc.", "S.A.", "& Sons", "Group")

INDUSTRIES = (
    "Agriculture",
    "Banking",
    "Construction",
    "Education",
    "Energy",
    "Healthcare",
    "Retail",
    "Technology",
)
TITLES = (
    "CEO",
    "CFO",
    "Head of Purchasing",
    "IT Manager",
    "Operations Lead",
    "Buyer",
    "Engineer",
    "VP, Sales",
)
DEPARTMENTS = ("Finance", "IT", "Operations", "Procurement", "Research & Development", "Sales")
LEAD_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show", "Other")
RATINGS = ("Hot", "Warm", "Cold")
ACCOUNT_TYPES = ("Prospect", "Customer - Direct", "Customer - Channel", "Partner", "Other")
OPPORTUNITY_TYPES = ("New Customer", "Existing Customer - Upgrade", "Existing Customer - Replacement")
CAMPAIGN_STATUSES = ("Planned", "In Progress", "Completed", "Aborted")
NEXT_STEPS = ("Call back", "Send the offer", "Meet on site", 'Agree on "phase 2"')
CURRENCIES = ("EUR", "EUR", "EUR", "USD", "USD", "GBP", "JPY")

OPEN_LEAD_STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted")
CONVERTED = "Closed - Converted"
UNKNOWN_STATUS = "Parked"

# Stage, probability, forecast category; the last two are closed.
STAGES = (
    ("Prospecting", 10.0, "Pipeline"),
    ("Qualification", 20.0, "Pipeline"),
    ("Needs Analysis", 35.0, "Pipeline"),
    ("Proposal/Price Quote", 65.0, "Best Case"),
    ("Negotiation/Review", 80.0, "Commit"),
    ("Closed Won", 100.0, "Closed"),
    ("Closed Lost", 0.0, "Omitted"),
)

# City, state, country, and a postal code to number on from.
PLACES = (
    ("London", None, "United Kingdom", "EC1A {}BB"),
    ("Manchester", None, "United Kingdom", "M1 {}AE"),
    ("Berlin", "Berlin", "Germany", "1011{}"),
    ("München", "Bayern", "Germany", "8033{}"),
    ("Paris", "Île-de-France", "France", "7500{}"),
    ("Lyon", None, "France", "6900{}"),
    ("Madrid", None, "Spain", "2801{}"),
    ("São Paulo", "SP", "Brazil", "0131{}-100"),
    ("New York", "NY", "United States", "1000{}"),
    ("Austin", "TX", "United States", "7870{}"),
    ("Toronto", "ON", "Canada", "M5H {}N2"),
    ("Lagos", "Lagos", "Nigeria", "10124{}"),
    ("東京", None, "Japan", "100-000{}"),
    ("Mumbai", "Maharashtra", "India", "40000{}"),
)
STREET_NAMES = (
    "High Street",
    "Station Road",
    "Mill Lane",
    "Queen's Road",
    "Hauptstraße",
    "Rue de l'Église",
    "5th Ave",
)
DESCRIPTIONS = (
    "Met at the trade show; wants a call in spring.",
    'Asked for "the small one", then for three.',
    "Prefers e-mail, dislikes calls,\nreads on Fridays.",
    "Budget agreed, waiting for the board.",
    "Größere Bestellung möglich - bitte nachfassen.",
    "Uses a competitor's tool, contract ends in May.\r\nTry again then.",
    "Path on their share: C:\\offers\\2025, tab\tseparated.",
    "電話は午後のみ。",
)
BAD_EMAILS = ("{} at mail.example", "{}@", "@{}.example", "{}@@mail.example", "{}@localhost")


def slug(text: str) -> str:
    """The plain letters and digits of a text, as an email address or a host name has them."""
    plain = unicodedata.normalize("NFKD", text.replace("Ł", "L").replace("ø", "o"))
    return re.sub(r"[^a-z0-9]", "", plain.encode("ascii", "ignore").decode().lower())


def companies() -> list[str]:
    return [
        f"{word} {trade} {form}"
        for form in COMPANY_FORMS
        for trade in COMPANY_TRADES
        for word in COMPANY_WORDS
    ]


def streets() -> list[str]:
    plain = [f"{number} {street}" for number in range(1, 200) for street in STREET_NAMES]
    return plain + [f"{street}\nFloor {number % 7 + 1}" for number, street in enumerate(plain[::9])]


def phones() -> list[str]:
    shapes = ("+44 20 7{:03d} {:04d}", "(212) {:03d}-{:04d}", "+49 30 {:03d}{:04d}")
    return [shapes[n % 3].format(n * 7919 % 900 + 100, n * 104729 % 10_000) for n in range(6_000)]


def amounts(least: float, most: float, count: int = 4_000) -> list[Decimal]:
    """Amounts spread evenly over the orders of magnitude, most in whole tens and some to the cent."""
    step = (most / least) ** (1 / (count - 1))
    spread = [least * step**place for place in range(count)]
    return [
        Decimal(round(each * 100 if n % 4 == 0 else each // 10 * 1000)).scaleb(-2)
        for n, each in enumerate(spread)
    ]
